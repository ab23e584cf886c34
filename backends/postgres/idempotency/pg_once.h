/* A write with an idempotency key as one statement, which also stores the key with the answer:
 *
 *     WITH done AS (the call's statement) INSERT INTO idempotency_keys … WHERE EXISTS (done)
 *
 * The answer is known before the statement runs (once.py in the generator). So nothing of the batch
 * waits for a result, and it needs one round trip. The write is carried out and its key stored, or
 * neither.
 *
 * A key that is stored already fails the statement, and with it the batch. All keys of the batch
 * are then looked up first (pg_replay.h). So are those of a call that was refused, and those of a
 * batch whose outcome is unknown. */
#ifndef PIERRE_PG_ONCE_H
#define PIERRE_PG_ONCE_H

#include <stdbool.h>

#include "../sending/pg_queue.h"

struct parameters;

/* Whether the call is sent in this form. */
bool pg_once_is(const struct call *call);
/* Makes the row of such a call. False: it failed, and the call is sent in the other form. */
bool pg_once_prepare(const struct postgres_store *store, struct call *call);
/* Sends the call, whose own bind parameters are given. NULL: libpq refused, or out of memory. */
struct item *pg_once_send(struct postgres_store *store, struct pg_connection *connection,
	struct call *call, const struct parameters *own);
/* The texts that were made, NULL: none. */
void pg_once_free(char **texts);

#endif
