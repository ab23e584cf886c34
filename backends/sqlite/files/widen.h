/* widen_check(): how a migration lets a CHECK take one more value without making the table again.
 */
#ifndef PIERRE_SQLITE_WIDEN_H
#define PIERRE_SQLITE_WIDEN_H

#include <sqlite3.h>

/* For migrations: widen_check(sql, added, known…) returns the text of a CREATE TABLE in which the
 * list of literals that holds all the known ones holds `added`, too. Unchanged when it does
 * already, or when there is no such list. A result code. */
int widen_register(sqlite3 *db);

#endif
