/* Which connection a call takes. */
#ifndef PIERRE_PG_PLACING_H
#define PIERRE_PG_PLACING_H

#include <stdbool.h>
#include <stdint.h>

struct call;
struct pg_connection;
struct postgres_store;

enum {
	PLACING_FILL_FIRST = 16, /* waiting calls that do not make a connection a bad choice */
	PLACING_SLOW_MS = 250    /* a batch that takes longer is slow */
};

/* Uses the connection of its client's unfinished calls, otherwise the best one; without one, the
 * call waits in the store. */
void placing_place(struct postgres_store *store, struct call *call);
/* Adds a call to those that wait on a connection; later ones of its client follow it there. */
void placing_on(struct pg_connection *connection, struct call *call);
/* Assigns calls that found no connection, in order. */
void placing_place_waiting(struct postgres_store *store);
/* Whether the first batch of the connection is slow. */
bool placing_slow(const struct pg_connection *connection, uint64_t now);
/* Whether its last batch has a call whose answer may be large. */
bool placing_carries_large(const struct pg_connection *connection);

#endif
