#include "sqlite_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { SHOWN_MAX = 100 };

static const char prefix[] = "sqlite:";

bool sqlite_url_is_one(const char *url)
{
	return strncmp(url, prefix, sizeof prefix - 1) == 0;
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7F;
}

bool sqlite_url_has_control(const char *text)
{
	while (*text != '\0' && !is_control(*text))
		text++;
	return *text != '\0';
}

char *sqlite_url_trim(char *text)
{
	size_t length;

	while (is_blank(*text))
		text++;
	for (length = strlen(text); length > 0 && is_blank(text[length - 1]); length--)
		text[length - 1] = '\0';
	return text;
}

const char *sqlite_url_show(const char *text, char *out, size_t size)
{
	size_t length = 0;

	for (; *text != '\0' && length + 8 < size; text++)
		length += (size_t)snprintf(out + length, size - length,
			is_control(*text) ? "\\x%02X" : "%c", (unsigned char)*text);
	(void)snprintf(out + length, size - length, "%s", *text != '\0' ? "…" : "");
	return out;
}

static int sqlite_url_refuse(struct err *err, const char *url, const char *reason)
{
	char shown[SHOWN_MAX];

	return err_exit(err, EX_CONFIG,
		"the database URL \"%s\" %s; accepted are " DATABASE_URL_FORMS,
		sqlite_url_show(url, shown, sizeof shown), reason);
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)((at - digits) % 16) : -1;
}

/* A % without two hexadecimal digits is literal, as in the old server. */
static bool decode(const char *from, size_t length, char *to)
{
	const char *end = from + length;

	while (from < end) {
		int high = *from == '%' && end - from > 2 ? hex_digit(from[1]) : -1,
		    low = high >= 0 ? hex_digit(from[2]) : -1;

		if (low >= 0) {
			*to = (char)(high * 16 + low);
			if (is_control(*to))
				return false;
			from += 3;
		} else {
			*to = *from++;
		}
		to++;
	}
	*to = '\0';
	return true;
}

/* Text that a shell, Docker Compose or systemd would have replaced: ${NAME} and $(command)
 * anywhere, $NAME at the start of a path component. */
static bool names_variable(const char *path, size_t length)
{
	for (size_t i = 0; i + 1 < length; i++) {
		char next = path[i + 1];
		bool name =
			next == '_' || (next >= 'A' && next <= 'Z') || (next >= 'a' && next <= 'z');

		if (path[i] == '$' &&
			(next == '{' || next == '(' || (name && (i == 0 || path[i - 1] == '/'))))
			return true;
	}
	return false;
}

/* As for variables, a name that only contains the character is a name. */
static bool names_command(const char *path, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (path[i] == '`' && (i == 0 || path[i - 1] == '/'))
			return true;
	return false;
}

/* NULL: the path is unambiguous. */
static const char *objection(const char *path, size_t length)
{
	if (length == 0)
		return "does not name a file";
	if (length >= 5 && strncmp(path, "file:", 5) == 0)
		return "contains file:, which is not accepted: write sqlite:PATH";
	if (*path == '~')
		return "begins with ~, which only a shell expands: write the full path (or %7E)";
	if (names_variable(path, length))
		return "contains a variable ($NAME or ${NAME}) that was not expanded: write the "
		       "path (or %24 for $)";
	if (names_command(path, length))
		return "contains a command (`…`) that was not executed: write the path (or %60 for "
		       "`)";
	if (*path == '"' || *path == '\'')
		return "has a quotation mark before the path: remove it (or write %22, %27)";
	if (memchr(path, '\\', length) != NULL)
		return "contains a backslash: separate folders by / (or write %5C)";
	if (is_blank(*path) || is_blank(path[length - 1]))
		return "has white space before or after the path: remove it (or write %20)";
	if (path[length - 1] == '/')
		return "names a folder, not a file";
	return NULL;
}

/* `?mode=rw` and `?mode=rwc`, once. */
static int sqlite_url_read_options(
	const char *url, const char *query, struct sqlite_url *out, struct err *err)
{
	bool seen = false;
	char reason[160];

	while (*query != '\0') {
		size_t length = strcspn(query, "&");
		bool rw = length == 7 && strncmp(query, "mode=rw", 7) == 0,
		     rwc = length == 8 && strncmp(query, "mode=rwc", 8) == 0;

		if (length > 0 && ((!rw && !rwc) || seen)) {
			char name[48], shown[48];

			(void)snprintf(
				name, sizeof name, "%.*s", (int)(length < 40 ? length : 40), query);
			(void)snprintf(reason, sizeof reason,
				"has the option \"%s\"%s; supported are mode=rw (the file must "
				"exist) and mode=rwc",
				sqlite_url_show(name, shown, sizeof shown),
				rw || rwc ? " a second time" : ", which is unknown");
			return sqlite_url_refuse(err, url, reason);
		}
		seen |= length > 0;
		out->must_exist |= rw;
		query += length + (query[length] == '&');
	}
	return 0;
}

int sqlite_url_parse(const char *url, struct sqlite_url *out, struct err *err)
{
	const char *start = url + sizeof prefix - 1, *reason;
	size_t length;

	*out = (struct sqlite_url){0};
	if (sqlite_url_has_control(url))
		return sqlite_url_refuse(err, url, "contains control characters");
	if (strncmp(start, "//", 2) == 0)
		start += 2;
	length = strcspn(start, "?");
	if (start[length] == '?' && sqlite_url_read_options(url, start + length + 1, out, err) < 0)
		return -1;
	if (length == strlen(":memory:") && strncmp(start, ":memory:", length) == 0)
		return out->must_exist
			? sqlite_url_refuse(err, url,
				  "requires an existing file, but the database is in memory")
			: 0;
	reason = objection(start, length);
	if (reason != NULL)
		return sqlite_url_refuse(err, url, reason);
	out->path = malloc(length + 1);
	out->literal = strndup(start, length);
	if (out->path == NULL || out->literal == NULL) {
		sqlite_url_free(out);
		return err_exit(err, EX_OSERR, "out of memory");
	}
	if (!decode(start, length, out->path)) {
		sqlite_url_free(out);
		return sqlite_url_refuse(err, url, "contains an encoded control character");
	}
	if (strcmp(out->path, out->literal) == 0) {
		free(out->literal);
		out->literal = NULL;
	}
	return 0;
}

void sqlite_url_free(struct sqlite_url *url)
{
	free(url->path);
	free(url->literal);
	*url = (struct sqlite_url){0};
}

bool sqlite_url_of_file(const char *path, char *out, size_t size)
{
	size_t length = (size_t)snprintf(out, size, "%s", prefix);

	for (; *path != '\0'; path++) {
		bool plain = (*path >= 'a' && *path <= 'z') || (*path >= 'A' && *path <= 'Z') ||
			strchr("0123456789/._-+,:=@ ", *path) != NULL;

		if (length + 4 > size)
			return false;
		length += (size_t)snprintf(out + length, size - length,
			plain && *path != ' ' ? "%c" : "%%%02X", (unsigned char)*path);
	}
	return true;
}
