/* Selects the calls of a connection's next batch. */
#ifndef PIERRE_PG_GATHER_H
#define PIERRE_PG_GATHER_H

#include <stdbool.h>

#include "../../protocol/list.h"

struct pg_batch;
struct pg_connection;
struct postgres_store;

/* Moves calls from `waiting` to the connection's last batch. False: they wait for memory, or for
 * the batches under way before it. */
bool gather_postgres(struct postgres_store *store, struct pg_connection *connection);
/* Puts the calls of the batch, which has ended, back into the order of their arrival. */
void gather_undo(struct pg_batch *batch, struct list *calls);
/* Whether clients leave memory for a large answer. */
bool gather_has_room(const struct postgres_store *store);

#endif
