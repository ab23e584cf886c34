/* The pool: which connection a call takes, when to connect, and the timers. */
#ifndef PIERRE_PG_POOL_H
#define PIERRE_PG_POOL_H

#include <stdbool.h>
#include <stdint.h>

struct call;
struct pg_connection;
struct postgres_store;

/* NULL: no connection accepts calls. */
struct pg_connection *pool_choose(
	struct postgres_store *store, const struct call *call, uint64_t now);
/* Assigns waiting calls to connections and sends batches. */
void pool_distribute(struct postgres_store *store);
void pool_connect_more(struct postgres_store *store);
void pool_timers(struct postgres_store *store);
uint64_t pool_next_due(struct postgres_store *store);

#endif
