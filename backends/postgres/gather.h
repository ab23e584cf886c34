/* Which calls make the next batch of a connection. */
#ifndef PIERRE_PG_GATHER_H
#define PIERRE_PG_GATHER_H

#include "../../protocol/list.h"

struct pg_connection;
struct postgres_store;

/* Moves its calls from `waiting` to `batch`. */
void gather_postgres(struct postgres_store *store, struct pg_connection *connection);
/* The calls of a batch that has ended: in the order of their arrival again. */
void gather_undo(struct pg_connection *connection, struct list *calls);

#endif
