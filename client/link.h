/* The connection to the daemon's socket. Internal to the library; thread: the handle's. */
#ifndef PIERRE_CLIENT_LINK_H
#define PIERRE_CLIENT_LINK_H

#include "pierre-db.h"

/* Takes one line that the daemon sent, without its newline; false: the connection is broken. */
typedef bool link_take(struct pierre *db, const char *line, size_t length);

/* Tries to connect when the time for it has come; else fails what has waited long enough. */
void link_connect(struct pierre *db, int64_t now);
void link_write(struct pierre *db);
/* Reads what has come and hands each whole line to take(). */
void link_read(struct pierre *db, link_take *take);
void link_close(struct pierre *db);
/* Closes an unusable connection. What may be sent again waits for the next one, the rest fails with
 * `kind` and `what`. again: reads may be sent again. */
void link_broken(struct pierre *db, int kind, bool again, const char *what);

#endif
