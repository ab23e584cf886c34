/* Making and unmaking a SQLite store. */
#ifndef PIERRE_SQLITE_OPEN_H
#define PIERRE_SQLITE_OPEN_H

#include "sqlite.h"

extern const struct store_ops sqlite_ops;

/* Gives the loop's connection its bounds: no waiting, few steps. */
void sqlite_bound_loop(struct sqlite_store *store);
/* Closes connections and files in the one safe order, and frees. Threads have ended. */
void open_sqlite_store_free(struct sqlite_store *store);

#endif
