#include "store.h"

#include <stdlib.h>
#include <string.h>
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
		return err_exit(err, EX_CONFIG,
			"the database URL \"%s\" holds control characters; accepted are " DATABASE_URL_FORMS,
			shown);
	if (begins(url, "postgresql://") || begins(url, "postgres://")) {
		*backend = BACKEND_POSTGRES;
		return connect_check_url(url, err);
	}
	return err_exit(err, EX_CONFIG,
		"the database URL is \"%s\"; accepted are " DATABASE_URL_FORMS, shown);
}

int store_open(struct store **ret, const struct store_settings *settings, struct err *err)
{
	enum backend_id backend;

	if (store_check_url(settings->url, &backend, err) < 0)
		return -1;
	if (backend == BACKEND_SQLITE)
		return open_sqlite_store(ret, settings, err);
	return postgres_store_open(ret, settings, err);
}

void store_warn_of_count(const struct store_settings *settings, uint64_t before, uint64_t now)
{
	if (before < SEAL_WARN && now >= SEAL_WARN)
		settings->log(4,
			"the encryption key has sealed %llu texts: change it (pierre-dbctl rotate-key) before it has sealed 4294967296, "
			"when it stops",
			(unsigned long long)now);
}
