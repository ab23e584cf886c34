/* Calls with an idempotency key on PostgreSQL whose key is looked up first: it may be stored
 * already, or the answer is known from the call's results alone. Others are one statement
 * (pg_once.h).
 *
 * The answer is stored in the call's transaction, so a batch with such calls is sent in two parts:
 *
 *     which keys are known? | the calls' statements | Flush
 *     the new keys with their answers | Sync
 *
 * The second part follows the results of the first. In a transaction (transaction.h) a Sync that
 * ends nothing takes the place of the Flush, and the COMMIT follows the new key. A batch that finds
 * a key is rolled back; in the next one the call is known, and its stored answer takes the place of
 * its statement.
 *
 * Two transactions with one key: the second waits for the first in the unique key, collides and
 * runs again. A refusal may be the effect of the same call in another transaction, such as a row
 * that is there already. So a call is refused only by a batch that has looked for its key after the
 * first refusal. */
#ifndef PIERRE_PG_REPLAY_H
#define PIERRE_PG_REPLAY_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "../../call.h"

struct pg_batch;
struct item;
struct pg_connection;
struct postgres_store;

/* Whether the batch has room for the call, and no other call with its key. */
bool pg_replay_fits(
	const struct postgres_store *store, const struct pg_batch *batch, struct call *call);
void pg_replay_gather(struct pg_batch *batch, struct call *call);
/* Sends the look-up of the batch's keys, if any. False: libpq refused, or out of memory. */
bool pg_replay_ask(struct postgres_store *store, struct pg_connection *connection);
/* Takes its result; false: it is not one. */
bool pg_replay_found(
	struct postgres_store *store, struct pg_connection *connection, const PGresult *result);
/* Sends the keys of calls that were carried out, if any. False as above. */
bool pg_replay_add(struct postgres_store *store, struct pg_connection *connection);
/* A statement that stores keys has failed. True: another transaction has stored one of them. */
bool pg_replay_collided(
	struct pg_connection *connection, const struct item *item, const PGresult *result);
/* Of a call that runs again because its batch found keys, or collided: whether it is alone then. */
bool pg_replay_alone(struct call *call, bool collided);
/* A call has failed its batch. If it was refused, an earlier attempt of it may be stored, and then
 * also of others: they are looked up together. */
void pg_replay_refused(struct pg_batch *batch, const struct call *failed);
/* Removes some of the keys whose time is over: a batch without calls. False as above. */
bool pg_replay_forget(struct postgres_store *store, struct pg_connection *connection);
/* When all of that step's keys were old, the next one follows soon. */
void pg_replay_forgotten(struct postgres_store *store, PGresult *result);
/* Whether a refused call must run again before its error is answered. */
bool pg_replay_looks_again(struct call *call);
/* An attempt may have been committed: a later failure does not mean that nothing was done. */
void pg_replay_doubt(struct call *call);

#endif
