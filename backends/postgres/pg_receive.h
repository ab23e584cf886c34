/* Reads the results of a connection's batch, and decides with the last one what becomes of its
 * calls. Thread: the loop thread. */
#ifndef PIERRE_PG_RECEIVE_H
#define PIERRE_PG_RECEIVE_H

#include "pg_connection.h"

/* The socket is readable or writable. */
void pg_receive(struct postgres_store *store, struct pg_connection *connection);
/* The results of an open batch are there, and encoded: commits it, or rolls it back. */
void pg_receive_complete(struct postgres_store *store, struct pg_connection *connection);

#endif
