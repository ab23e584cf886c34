/* pierre-dbctl restore: replaces a SQLite database by a copy. */
#ifndef PIERRE_RESTORE_H
#define PIERRE_RESTORE_H

#include <stdint.h>

#include "../protocol/error.h"
#include "secrets/seal.h"

struct restore_report {
	char *path;      /* the database */
	char *set_aside; /* where the old file is now, with its log; NULL: there was none */
	int64_t schema;
	uint64_t bytes;
};

/* Checks the copy, sets the old files aside and renames the copy in one step. Sets exit_code on
 * failure and then changes nothing. */
int restore_sqlite(struct restore_report *report, const char *url, const char *from,
	struct seal *seal, struct err *err);
void restore_free(struct restore_report *report);

#endif
