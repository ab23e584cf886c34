/* The connection to the daemon's socket. Internal to the library; thread: the handle's. */
#ifndef PIERRE_CLIENT_LINK_H
#define PIERRE_CLIENT_LINK_H

#include "pierre-db.h"

/* Handles one line from the daemon, without its newline; returns false to break the connection. */
typedef bool link_take(struct pierre *db, const char *line, size_t length);

/* Connects when an attempt is due; else fails the calls that have waited long enough. */
void link_connect(struct pierre *db, int64_t now);
void link_write(struct pierre *db);
/* Reads available data and passes each complete line to take(). */
void link_read(struct pierre *db, link_take *take);
void link_close(struct pierre *db);
/* Closes an unusable connection. Calls that may be retried wait for the next connection; the others
 * fail with `kind` and `what`. again: reads may be retried. */
void link_broken(struct pierre *db, int kind, bool again, const char *what);

#endif
