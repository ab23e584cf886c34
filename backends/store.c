#include "store.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

static bool begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

int store_check_url(const char *url, enum backend_id *backend, struct err *err)
{
	char shown[ERR_MESSAGE_MAX / 2];

	if (begins(url, "sqlite:")) {
		*backend = BACKEND_SQLITE;
		return 0;
	}
	if (begins(url, "postgresql://") || begins(url, "postgres://")) {
		*backend = BACKEND_POSTGRES;
		return 0;
	}
	store_redact_url(url, shown, sizeof shown);
	return err_exit(err, EX_CONFIG,
	                "the database URL is \"%s\"; accepted are sqlite:PATH, sqlite::memory: and postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
	                shown);
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

void store_redact_url(const char *url, char *out, size_t size)
{
	struct text text = {out, out + size - 1};
	const char *authority = strstr(url, "://");
	const char *query = strchr(url, '?');
	const char *end = query != NULL ? query : url + strlen(url);
	const char *start = url;

	if (authority != NULL && authority < end) {
		/* Up to the last @, so that an unescaped @ or / within the password does not show its rest. */
		const char *at = memrchr(authority, '@', (size_t)(end - authority));
		const char *colon = at != NULL ? memchr(authority + 3, ':', (size_t)(at - authority - 3)) : NULL;

		if (colon != NULL) {
			put(&text, url, (size_t)(colon + 1 - url));
			put(&text, "***", 3);
			start = at;
		}
	}
	put(&text, start, (size_t)(end - start));
	while (query != NULL) {
		const char *next = strchr(query + 1, '&');
		const char *stop = next != NULL ? next : query + strlen(query);
		const char *equals = memchr(query, '=', (size_t)(stop - query));

		if (equals != NULL && secret_option(query + 1, (size_t)(equals - query - 1))) {
			put(&text, query, (size_t)(equals + 1 - query));
			put(&text, "***", 3);
		} else {
			put(&text, query, (size_t)(stop - query));
		}
		query = next;
	}
	*text.at = '\0';
}
