/* Opens a SQLite store, step by step. Failure: err->exit_code is set. */
#ifndef PIERRE_SQLITE_OPEN_H
#define PIERRE_SQLITE_OPEN_H

#include "../../protocol/error.h"

struct sqlite_store;

/* Opens the file, takes its lock, checks the key before any write, and migrates the schema. */
int open_bring_up(struct sqlite_store *store, struct err *err);
/* Starts the threads. After a failure the store is closed like a running one. */
int open_threads(struct sqlite_store *store, struct err *err);

#endif
