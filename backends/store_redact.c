/* Redacts a database URL for display.
 *
 * A secret may hold any character, including those that divide a URL. So nothing after the possible
 * start of a secret is shown, unless its meaning follows from the characters alone.
 *
 * An @ ends the password only when the text holds no second one and no / or ? before it. After a
 * secret in the query, the rest is hidden. Any other text is shown as its scheme. */
#include "store_redact.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

struct text {
	char *at, *end;
};

static void store_redact_put(struct text *out, const char *from, size_t length)
{
	size_t room = (size_t)(out->end - out->at);

	if (length > room)
		length = room;
	memcpy(out->at, from, length);
	out->at += length;
}

static void put_hidden(struct text *out)
{
	store_redact_put(out, "***", 3);
}

static const char *store_redact_find(const char *from, const char *end, char byte)
{
	const char *found = memchr(from, byte, (size_t)(end - from));

	return found != NULL ? found : end;
}

static bool holds_word(const char *text, size_t length, const char *word)
{
	for (size_t i = 0; i + strlen(word) <= length; i++)
		if (strncasecmp(text + i, word, strlen(word)) == 0)
			return true;
	return false;
}

/* Only characters that cannot divide a URL, without white space. The database decodes %xx. */
static bool plain(const char *text, const char *end, const char *more)
{
	for (; text < end; text++) {
		bool digit = *text >= '0' && *text <= '9';

		if (*text == '\0' ||
			((unsigned char)*text < 0x80 && !digit && strchr(letters, *text) == NULL &&
				strchr("-._~%", *text) == NULL && strchr(more, *text) == NULL))
			return false;
	}
	return true;
}

/* host[:port] of each, separated by commas. A port that is not a number, or empty before a ?, may
 * be the password of a URL without its host. */
static bool plain_hosts(const char *from, const char *end)
{
	while (from < end) {
		const char *stop = store_redact_find(from, end, ','), *name = from, *colon;

		if (*from == '[') {
			name = store_redact_find(from, stop, ']');
			if (name == stop || !plain(from + 1, name, ":"))
				return false;
			name++;
		}
		colon = store_redact_find(name, stop, ':');
		if (!plain(name, colon, "") || (*from == '[' && colon != name))
			return false;
		if (colon < stop &&
			(stop - colon < 2 || stop - colon > 6 ||
				strspn(colon + 1, "0123456789") != (size_t)(stop - colon - 1)))
			return false;
		from = stop < end ? stop + 1 : end;
	}
	return true;
}

/* Start of the query's first secret; end if it has none; NULL if a name is ambiguous. */
static const char *find_secret(const char *query, const char *end)
{
	while (query < end) {
		const char *stop = store_redact_find(query + 1, end, '&'),
			   *equals = store_redact_find(query + 1, stop, '=');

		if (equals == stop || !plain(query + 1, equals, "") ||
			memchr(query, '%', (size_t)(equals - query)) != NULL)
			return NULL;
		if (holds_word(query, (size_t)(equals - query), "pass") &&
			!holds_word(query, (size_t)(equals - query), "passfile"))
			return equals + 1;
		query = stop;
	}
	return end;
}

/* Writes the URL without its password; false: it must not be shown. names: after the "://". */
static bool put_server(struct text *out, const char *url, const char *names)
{
	const char *end = url + strlen(url), *query = store_redact_find(names, end, '?'),
		   *slash = store_redact_find(names, query, '/'),
		   *at = store_redact_find(names, end, '@');
	const char *colon = store_redact_find(names, at < slash ? at : slash, ':');
	const char *secret = find_secret(query, end);

	if (secret == NULL ||
		(at < end && (at > slash || store_redact_find(at + 1, end, '@') != end)))
		return false;
	if (!plain_hosts(at < end ? at + 1 : names, slash) ||
		!plain(slash < query ? slash + 1 : query, query, "") ||
		(at < end && !plain(names, colon, "")))
		return false;
	if (at < end && colon < at) {
		store_redact_put(out, url, (size_t)(colon + 1 - url));
		put_hidden(out);
	} else {
		at = url;
	}
	store_redact_put(out, at, (size_t)(secret - at));
	if (secret < end)
		put_hidden(out);
	return true;
}

/* Whether a text that is not a server's URL may be shown in full, to be recognised. */
static bool harmless(const char *text)
{
	size_t scheme = strcspn(text, ":");
	bool file = (scheme == 4 && strncasecmp(text, "file:", 5) == 0) ||
		(scheme == 6 && strncasecmp(text, "sqlite:", 7) == 0) ||
		(scheme == 7 && strncasecmp(text, "sqlite3:", 8) == 0);

	return strpbrk(text, "@=&") == NULL &&
		strchr(text + (file ? scheme + 1 : 0), ':') == NULL &&
		!holds_word(text, strlen(text), "pass") && !holds_word(text, strlen(text), "pwd");
}

/* A path may hold nearly any character, and no password. A server's URL may be given in its place
 * by mistake. */
static bool is_path(const char *path)
{
	const char *at = strchr(path, '@');

	return (at == NULL || memchr(path, ':', (size_t)(at - path)) == NULL) &&
		strstr(path, "://") == NULL && !holds_word(path, strlen(path), "password=");
}

void store_redact_url(const char *url, char *out, size_t size)
{
	struct text text = {out, out + size - 1};
	size_t scheme = strspn(url, letters);
	bool is_url = scheme > 0 && strncmp(url + scheme, "://", 3) == 0;

	if ((strncmp(url, "sqlite:", 7) == 0 && is_path(url + 7)) || (!is_url && harmless(url))) {
		store_redact_put(&text, url, strlen(url));
	} else if (!is_url || !put_server(&text, url, url + scheme + 3)) {
		if (strncmp(url, "sqlite:", 7) == 0)
			store_redact_put(&text, url, 7);
		else if (is_url)
			store_redact_put(&text, url, scheme + 3);
		put_hidden(&text);
	}
	*text.at = '\0';
}

bool store_redact_url_is_clear(const char *url)
{
	char none[1];
	struct text nowhere = {none, none};
	size_t scheme = strspn(url, letters);

	return strncmp(url + scheme, "://", 3) == 0 && put_server(&nowhere, url, url + scheme + 3);
}
