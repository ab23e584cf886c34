/* The daemon's own SQL functions, which its SQLite statements use. Thread: any, each with its
 * connection. */
#ifndef PIERRE_SQLITE_FUNCTIONS_H
#define PIERRE_SQLITE_FUNCTIONS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

/* Registers the functions; an SQLite code. */
int functions_add(sqlite3 *db);

/* The column whose value has the wrong type, and the id of its row ("" if none), from such a
 * statement's error; NULL: another error. */
const char *functions_unsound(const char *message, char *column, size_t size);
/* The member that no_parent() has refused; NULL: the error is another one. */
const char *functions_no_parent(const char *message);

/* Whether an error's message is that of unexpected(). */
bool functions_unexpected(const char *message);

#endif
