/* Where a database is: from a URL to the one real path, from which SQLite, the lock, the watch, the
 * log and the backup derive their file names. Thread: no state. */
#ifndef PIERRE_SQLITE_PLACE_H
#define PIERRE_SQLITE_PLACE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "../../../protocol/error.h"

struct sqlite_place {
	char *path; /* real: absolute, without links; NULL: in memory */
	int fd;     /* holds the lock; -1: none. Closed last: closing it drops SQLite's own locks */
	struct stat status; /* of the file, once it is open */
};

/* For a daemon: creates the file and its folders unless the URL requires an existing file, and
 * locks it. Finishes an interrupted restore.
 *
 * Refuses what is not a regular file (65), what another daemon holds (75), and a log or journal of
 * another database (65). Call place_free in either case. */
int place_open(struct sqlite_place *place, const char *url, struct err *err);
/* For readers: the file must exist (66). No lock. */
int place_find(struct sqlite_place *place, const char *url, struct err *err);
void place_free(struct sqlite_place *place);

#endif
