/* widen_check() lets a migration add one value to a CHECK without recreating the table. */
#ifndef PIERRE_SQLITE_WIDEN_H
#define PIERRE_SQLITE_WIDEN_H

#include <sqlite3.h>

/* For migrations: widen_check(sql, added, known…) returns the text of a CREATE TABLE with `added`
 * in the list of literals that holds all known ones. Unchanged if it is already there, or if there
 * is no such list. A result code. */
int widen_register(sqlite3 *db);

#endif
