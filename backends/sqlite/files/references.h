/* Rows whose parent is gone. Thread: whoever holds the connection. */
#ifndef PIERRE_SQLITE_REFERENCES_H
#define PIERRE_SQLITE_REFERENCES_H

#include "../session.h"

/* Each table and parent with the number of such rows, in the order of their names. A table whose
 * reference cannot be checked, since nothing in the parent is unique, is left out: SQLite does not
 * enforce it either. A result code. */
int references_each_dangling(sqlite3 *db,
	void (*each)(void *argument, const char *table, const char *parent, int64_t rows),
	void *argument);

#endif
