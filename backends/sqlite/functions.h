/* SQL functions of the daemon's own, which its statements for SQLite use. Thread: any, each with
 * its connection. */
#ifndef PIERRE_SQLITE_FUNCTIONS_H
#define PIERRE_SQLITE_FUNCTIONS_H

#include <sqlite3.h>
#include <stddef.h>

/* An SQLite code. */
int functions_add(sqlite3 *db);

/* The id of the row ("" where it has none) that ended a statement with this error, and the column
 * whose value is of another kind; NULL: another error. */
const char *functions_unsound(const char *message, char *column, size_t size);

#endif
