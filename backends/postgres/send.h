/* Sends a batch: its statements, and the results to expect. */
#ifndef PIERRE_PG_SEND_H
#define PIERRE_PG_SEND_H

#include <stdbool.h>

struct pg_connection;
struct postgres_store;

/* False: libpq refused, or out of memory. */
bool send_batch(struct postgres_store *store, struct pg_connection *connection);
/* The end of the batch's transaction, after the results of its calls. */
bool send_end(struct pg_connection *connection, bool commit);

#endif
