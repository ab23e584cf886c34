/* The functions of one kind of database that store.c calls. A new database needs one more table of
 * this type and one line in store.c. */
#ifndef PIERRE_BACKEND_H
#define PIERRE_BACKEND_H

#include "store.h"
#include "verify.h"

struct backend {
	enum backend_id id;
	const char *name; /* "sqlite", "postgresql" */
	bool (*takes_url)(const char *url);
	bool checks_control; /* check_url itself refuses control characters */
	/* Checks only the form of a URL of this backend; exit_code 78. */
	int (*check_url)(const char *url, struct err *err);
	int (*open)(struct store **ret, const struct store_settings *settings, struct err *err);
	/* See store_verify. */
	int (*verify)(
		struct verify_report *report, const char *url, struct seal *seal, struct err *err);
};

#endif
