/* The files of a database while they are open: who removes or replaces one takes along, silently,
 * all that is written since. Loop thread. */
#ifndef PIERRE_SQLITE_WATCH_H
#define PIERRE_SQLITE_WATCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "../../../protocol/error.h"

struct sqlite_store;

/* One that SQLite makes beside the database. */
struct beside {
	char *path;
	ino_t inode; /* 0: not there yet */
};

struct watch {
	dev_t device; /* of the database itself */
	ino_t inode;
	struct beside log, index;
	bool log_warned;
};

/* Names SQLite's files, beside the one real path. */
int watch_start(struct sqlite_store *store, struct err *err);
/* Looks once; -1 with exit_code 74 when a file is not the one that is open. */
int watch_look(struct sqlite_store *store, struct err *err);
void watch_free(struct watch *watch);

#endif
