#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "../protocol/sqlite_url.h"

static bool begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

int store_check_url(const char *url, enum backend_id *backend, struct err *err)
{
	char redacted[ERR_MESSAGE_MAX / 2], shown[ERR_MESSAGE_MAX / 2];
	struct sqlite_url sqlite;
	int result;

	if (sqlite_url_is_one(url)) {
		*backend = BACKEND_SQLITE;
		result = sqlite_url_parse(url, &sqlite, err);
		sqlite_url_free(&sqlite);
		return result;
	}
	store_redact_url(url, redacted, sizeof redacted);
	(void)sqlite_url_show(redacted, shown, sizeof shown);
	if (sqlite_url_has_control(url))
		return err_exit(err, EX_CONFIG, "the database URL \"%s\" holds control characters; accepted are " DATABASE_URL_FORMS, shown);
	if (begins(url, "postgresql://") || begins(url, "postgres://")) {
		*backend = BACKEND_POSTGRES;
		return postgres_check_url(url, err);
	}
	return err_exit(err, EX_CONFIG, "the database URL is \"%s\"; accepted are " DATABASE_URL_FORMS, shown);
}

int store_open(struct store **ret, const struct store_settings *settings, struct err *err)
{
	enum backend_id backend;

	if (store_check_url(settings->url, &backend, err) < 0)
		return -1;
	if (backend == BACKEND_SQLITE)
		return sqlite_store_open(ret, settings, err);
	return postgres_store_open(ret, settings, err);
}

void store_warn_of_count(const struct store_settings *settings, uint64_t before, uint64_t now)
{
	if (before < SEAL_WARN && now >= SEAL_WARN)
		settings->log(4, "the encryption key has sealed %llu texts: change it (pierre-dbctl rotate-key) before it has sealed 4294967296, "
		              "when it stops", (unsigned long long)now);
}

struct text {
	char *at, *end;
};

static void put(struct text *out, const char *from, size_t length)
{
	size_t room = (size_t)(out->end - out->at);

	if (length > room)
		length = room;
	memcpy(out->at, from, length);
	out->at += length;
}

/* Query options whose value is secret: password, sslpassword. */
static bool secret_option(const char *name, size_t length)
{
	for (size_t i = 0; i + 8 <= length; i++)
		if (strncasecmp(name + i, "password", 8) == 0)
			return true;
	return false;
}

/* Something that is no URL, such as `user=u password=p`: from the first secret on, nothing is shown. */
static bool redact_words(struct text *out, const char *text)
{
	const char *password = strcasestr(text, "password"), *equals = password != NULL ? strchr(password, '=') : NULL;

	if (equals == NULL || strchr(text, '?') != NULL)
		return false;
	put(out, text, (size_t)(equals + 1 - text));
	put(out, "***", 3);
	return true;
}

/* Where no port follows the colon: with the host forgotten, that is the password. NULL: nowhere. */
static const char *no_port(const char *names, const char *end)
{
	for (const char *p = names; p < end && *p != '/'; p++) {
		if (*p == '[')
			p += strcspn(p, "]/") - 1;
		else if (*p == ':' && strchr(",/?", p[1 + strspn(p + 1, "0123456789")]) == NULL)
			return p + 1;
	}
	return NULL;
}

/* Also of what is no URL but was meant as one: a slip of the finger must not show the password. */
void store_redact_url(const char *url, char *out, size_t size)
{
	struct text text = {out, out + size - 1};
	const char *authority = strstr(url, "://"), *first = strchr(url, '@');
	const char *names = authority != NULL ? authority + 3 : url;   /* where a colon can stand before a password */
	const char *query = strchr(first != NULL ? first : url, '?');  /* a ? before the @ is the password's */
	const char *end = query != NULL ? query : url + strlen(url);
	const char *start = url;

	if (authority == NULL && (strncmp(url, "sqlite:", 7) == 0 || redact_words(&text, url))) {
		put(&text, url, text.at == out ? strlen(url) : 0);
		*text.at = '\0';
		return;
	}
	if (first != NULL && names < end) {
		const char *at = NULL, *colon = strchr(names, ':');

		/* Up to the last @, so that an unescaped @ or / within the password does not show its rest. */
		for (const char *next = names; next < end; next++)
			at = *next == '@' ? next : at;
		if (at != NULL && colon != NULL && colon < at) {
			put(&text, url, (size_t)(colon + 1 - url));
			put(&text, "***", 3);
			start = at;
		}
	}
	const char *port = first == NULL && authority != NULL ? no_port(names, end) : NULL;
	if (port != NULL) {
		put(&text, url, (size_t)(port - url));
		put(&text, "***", 3);
		start = end;
	}
	put(&text, start, (size_t)(end - start));
	while (query != NULL) {
		const char *next = strchr(query + 1, '&');
		const char *stop = next != NULL ? next : query + strlen(query);
		const char *equals = memchr(query, '=', (size_t)(stop - query));
		const char *named = equals != NULL ? equals : stop;

		if (secret_option(query + 1, (size_t)(named - query - 1))) {
			put(&text, query, equals != NULL ? (size_t)(equals + 1 - query) : 1);
			put(&text, "***", 3);
		} else {
			put(&text, query, (size_t)(stop - query));
		}
		query = next;
	}
	*text.at = '\0';
}
