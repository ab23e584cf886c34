/* Opening a SQLite store, step by step. Failure: err->exit_code is set. */
#ifndef PIERRE_SQLITE_OPEN_H
#define PIERRE_SQLITE_OPEN_H

#include "../../protocol/error.h"

struct sqlite_store;

/* The file and its lock, the proof of the key before anything is written, the schema. */
int open_bring_up(struct sqlite_store *store, struct err *err);
/* The threads. After a failure the store is closed as one that works. */
int open_threads(struct sqlite_store *store, struct err *err);

#endif
