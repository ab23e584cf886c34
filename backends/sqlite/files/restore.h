/* Putting a copy in the place of a database whose daemon is down. */
#ifndef PIERRE_SQLITE_RESTORE_H
#define PIERRE_SQLITE_RESTORE_H

#include <stdbool.h>

#include "../../../protocol/error.h"

/* A restore that was cut off when the new file was whole and checked is finished: under this name
 * the new one waits, and nothing may begin before it has its place. Before the database is opened.
 * exit_code 75 while the restore runs. */
int restore_resume(const char *path, struct err *err);
/* Whether there is such a one. */
bool restore_pending(const char *path);

#endif
