/* The pool: when to connect, and the timers. */
#ifndef PIERRE_PG_POOL_H
#define PIERRE_PG_POOL_H

#include <stdint.h>

struct postgres_store;

/* Assigns waiting calls to connections and sends batches. */
void pool_distribute(struct postgres_store *store);
void pool_connect_more(struct postgres_store *store);
void pool_timers(struct postgres_store *store);
uint64_t pool_next_due(struct postgres_store *store);

#endif
