/* Closes a SQLite store: see store_ops.close. */
#ifndef PIERRE_SQLITE_CLOSE_H
#define PIERRE_SQLITE_CLOSE_H

#include "../store.h"

void close_store(struct store *base, uint64_t deadline);

#endif
