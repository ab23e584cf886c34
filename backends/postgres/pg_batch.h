/* Outcome of the calls of an ended batch. */
#ifndef PIERRE_PG_BATCH_H
#define PIERRE_PG_BATCH_H

#include <stdbool.h>

struct pg_connection;
struct postgres_store;

/* The Sync's result has arrived: calls are answered, or wait on the connection to run again. */
void pg_batch_end(struct postgres_store *store, struct pg_connection *connection);
/* The connection is lost: its calls wait to run elsewhere, or fail. */
void pg_batch_lost(struct postgres_store *store, struct pg_connection *connection, bool timed_out);

#endif
