/* Rows whose parent row is missing. Thread: the one that uses the connection. */
#ifndef PIERRE_SQLITE_REFERENCES_H
#define PIERRE_SQLITE_REFERENCES_H

#include "../session.h"

/* Calls back for each table and parent with the number of such rows, in alphabetical order. Skips a
 * reference to columns that are not unique, which SQLite cannot enforce either. A result code. */
int references_each_dangling(sqlite3 *db,
	void (*each)(void *argument, const char *table, const char *parent, int64_t rows),
	void *argument);

#endif
