/* Selects the calls of a connection's next batch. */
#ifndef PIERRE_PG_GATHER_H
#define PIERRE_PG_GATHER_H

#include "../../protocol/list.h"

struct pg_connection;
struct postgres_store;

/* Moves its calls from `waiting` to `batch`. */
void gather_postgres(struct postgres_store *store, struct pg_connection *connection);
/* Puts the calls of an ended batch back into the order of their arrival. */
void gather_undo(struct pg_connection *connection, struct list *calls);

#endif
