/* Runs the SQL of one migration. The build makes the schema of new databases with it, so it uses
 * SQLite alone. Thread: the one that uses the connection. */
#ifndef PIERRE_SQLITE_UPGRADE_H
#define PIERRE_SQLITE_UPGRADE_H

#include <sqlite3.h>

#include "../../migration.h"

/* Within the caller's transaction, if there is one; widen_register must have been called. A result
 * code. After a failure the caller sets `PRAGMA writable_schema=RESET`, once it has read the
 * connection's error. */
int upgrade_run(sqlite3 *db, const struct migration *migration);

#endif
