#include "store.h"

#include <sysexits.h>

#include "../protocol/sqlite_url.h"
#include "backend.h"
#include "postgres/postgres.h"
#include "sqlite/sqlite.h"
#include "store_redact.h"

static const struct backend *const backends[] = {&sqlite_backend, &postgres_backend};

static int refuse_url(const char *url, struct err *err)
{
	char redacted[ERR_MESSAGE_MAX / 2], shown[ERR_MESSAGE_MAX / 2];

	store_redact_url(url, redacted, sizeof redacted);
	(void)sqlite_url_show(redacted, shown, sizeof shown);
	return sqlite_url_has_control(url)
		? err_exit(err, EX_CONFIG,
			  "the database URL \"%s\" holds control characters; accepted "
			  "are " DATABASE_URL_FORMS,
			  shown)
		: err_exit(err, EX_CONFIG,
			  "the database URL is \"%s\"; accepted are " DATABASE_URL_FORMS, shown);
}

/* NULL after setting err. */
static const struct backend *backend_of(const char *url, struct err *err)
{
	const struct backend *found = NULL;

	for (size_t i = 0; i < sizeof backends / sizeof *backends && found == NULL; i++)
		if (backends[i]->takes_url(url))
			found = backends[i];
	if (found != NULL && (found->checks_control || !sqlite_url_has_control(url)))
		return found->check_url(url, err) == 0 ? found : NULL;
	(void)refuse_url(url, err);
	return NULL;
}

int store_check_url(const char *url, enum backend_id *backend, struct err *err)
{
	const struct backend *found = backend_of(url, err);

	if (found == NULL)
		return -1;
	*backend = found->id;
	return 0;
}

int store_open(struct store **ret, const struct store_settings *settings, struct err *err)
{
	const struct backend *backend = backend_of(settings->url, err);

	return backend != NULL ? backend->open(ret, settings, err) : -1;
}

int store_verify(struct verify_report *report, const char *url, struct seal *seal, struct err *err)
{
	const struct backend *backend = backend_of(url, err);

	*report = (struct verify_report){0};
	if (backend == NULL)
		return -1;
	report->backend = backend->name;
	return backend->verify(report, url, seal, err);
}
