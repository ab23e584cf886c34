/* Sends a batch: its statements, and what ends it.
 *
 * prefix: send_ */
#ifndef PIERRE_PG_SEND_H
#define PIERRE_PG_SEND_H

#include <stdbool.h>

struct pg_connection;
struct postgres_store;

/* False: libpq refused, or out of memory. */
bool send_batch(struct postgres_store *store, struct pg_connection *connection);
/* The end of an open batch, after the results of its calls: new keys and the COMMIT of a
 * transaction, or a ROLLBACK, and the Sync. False as above. */
bool send_end(struct postgres_store *store, struct pg_connection *connection, bool commit);

#endif
