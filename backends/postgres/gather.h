/* Selects the calls of a connection's next batch. */
#ifndef PIERRE_PG_GATHER_H
#define PIERRE_PG_GATHER_H

#include <stdbool.h>

#include "../../protocol/list.h"

struct pg_connection;
struct postgres_store;

/* Moves its calls from `waiting` to `batch`. False: they wait for memory. */
bool gather_postgres(struct postgres_store *store, struct pg_connection *connection);
/* Puts the calls of an ended batch back into the order of their arrival. */
void gather_undo(struct pg_connection *connection, struct list *calls);
/* Whether clients leave memory for a large answer. */
bool gather_has_room(const struct postgres_store *store);

#endif
