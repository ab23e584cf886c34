/* Watches the files of an open database: if one is removed or replaced, all later writes are lost
 * without an error. Loop thread. */
#ifndef PIERRE_SQLITE_WATCH_H
#define PIERRE_SQLITE_WATCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "../../../protocol/error.h"

struct sqlite_store;

/* A file that SQLite creates beside the database. */
struct beside {
	char *path;
	ino_t inode; /* 0: does not exist yet */
};

struct watch {
	dev_t device; /* of the database itself */
	ino_t inode;
	struct beside log, index;
	bool log_warned;
};

/* Derives the names of SQLite's files from the real path. */
int watch_start(struct sqlite_store *store, struct err *err);
/* Checks once; -1 with exit_code 74 when a file is not the one that is open. */
int watch_look(struct sqlite_store *store, struct err *err);
void watch_free(struct watch *watch);

#endif
