/* Checks a whole SQLite database without changing it. */
#ifndef PIERRE_SQLITE_VERIFY_H
#define PIERRE_SQLITE_VERIFY_H

#include "../verify.h"

int verify_sqlite(
	struct verify_report *report, const char *url, struct seal *seal, struct err *err);

#endif
