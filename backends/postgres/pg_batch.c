/* A batch from its beginning to its end: its calls are answered, or run again without the call that
 * spoilt it. */
#include "pg_batch.h"

#include <stdlib.h>

#include "../execute.h"
#include "../idempotency.h"
#include "../transaction.h"
#include "encoder.h"
#include "gather.h"
#include "idempotency/pg_replay.h"
#include "pg_store.h"

static const char *const pg_batch_names[PG_BATCH_STATES] = {
	"empty", "gathered", "sent", "failed", "commit failed", "ending", "unserved", "left open"};

/* The connection may be lost in any state of a batch under way. */
#define BATCH_LEAVES (STATE(PG_BATCH_UNSERVED) | STATE(PG_BATCH_LEFT_OPEN) | STATE(PG_BATCH_EMPTY))

/* Results may come before the Sync has left. */
static const uint32_t pg_batch_changes[PG_BATCH_STATES] = {
	[PG_BATCH_EMPTY] = STATE(PG_BATCH_GATHERED),
	[PG_BATCH_GATHERED] = STATE(PG_BATCH_SENT) | STATE(PG_BATCH_FAILED) |
		STATE(PG_BATCH_COMMIT_FAILED) | BATCH_LEAVES,
	[PG_BATCH_SENT] = STATE(PG_BATCH_FAILED) | STATE(PG_BATCH_COMMIT_FAILED) | BATCH_LEAVES,
	[PG_BATCH_FAILED] = STATE(PG_BATCH_COMMIT_FAILED) | BATCH_LEAVES,
	[PG_BATCH_COMMIT_FAILED] = STATE(PG_BATCH_ENDING) | BATCH_LEAVES,
	[PG_BATCH_ENDING] = BATCH_LEAVES,
	[PG_BATCH_UNSERVED] = STATE(PG_BATCH_EMPTY),
	[PG_BATCH_LEFT_OPEN] = STATE(PG_BATCH_EMPTY),
};

const struct state_machine pg_batch_states = {
	"database batch", pg_batch_names, pg_batch_changes, PG_BATCH_STATES};

bool pg_batch_init(struct pg_batch *batch, unsigned number)
{
	batch->number = number;
	list_init(&batch->calls);
	list_init(&batch->kept);
	/* The settings, then each call, which may bring a Prepare before it; two statements for the
	 * keys and two about positions likewise, a Rollback; the Sync comes last. */
	batch->items = calloc(2 * PG_BATCH_MAX + 11, sizeof *batch->items);
	batch->merged = calloc(PG_BATCH_MAX, sizeof(struct call *));
	batch->keyed = calloc(PG_BATCH_KEYED_MAX, sizeof(struct call *));
	return batch->items != NULL && batch->merged != NULL && batch->keyed != NULL;
}

void pg_batch_free(struct pg_batch *batch)
{
	free(batch->items);
	free(batch->merged);
	free(batch->keyed);
	batch->items = NULL;
	batch->merged = batch->keyed = NULL;
}

void pg_batch_begin(struct pg_batch *batch)
{
	batch->slow_result = batch->warned = batch->open = batch->replay = batch->upkeep = false;
	batch->locking = batch->large = batch->lists = batch->unknown = batch->causal = 0;
	batch->writes = false;
	batch->quick = true;
	batch->admitted = NULL;
	batch->bytes = batch->kept_bytes = 0;
	batch->item_count = batch->item_next = batch->merged_count = 0;
	batch->keyed_count = batch->looked_count = 0;
	batch->failed = NULL;
	batch->cancelled_at = 0;
	batch->transaction = NULL;
	batch->encoding = 0;
}

void pg_batch_gathered(struct pg_batch *batch)
{
	pg_batch_enter(batch, PG_BATCH_GATHERED);
	batch->sent_at = clock_ns();
	batch->due = 0;
	if (!list_empty(&batch->calls) && transaction_is(call_of(list_first(&batch->calls))))
		batch->transaction = call_of(list_first(&batch->calls));
	batch->open = batch->transaction != NULL || batch->looked_count > 0;
	list_for_each (node, &batch->calls) {
		uint64_t deadline = call_of(node)->deadline;

		if (deadline != 0 && (batch->due == 0 || deadline < batch->due))
			batch->due = deadline;
	}
}

/* The transaction's calls have their results, and none has failed on the way: the last reasons not
 * to commit. */
static bool may_commit(struct call *call)
{
	if (call->err.kind != ERR_NONE)
		return false; /* its key belongs to another call */
	if (call->deadline != 0 && call->deadline <= clock_ns()) {
		execute_fail(call, ERR_TIMEOUT, "the call's time ran out in the database");
		call->err.outcome = OUTCOME_NONE;
		return false;
	}
	return transaction_end(call) == 0;
}

bool pg_batch_commits(struct pg_batch *batch)
{
	batch->open = false;
	if (batch->transaction == NULL)
		return !batch->replay && batch->state != PG_BATCH_FAILED;
	if (batch->failed == NULL && !batch->replay && !may_commit(batch->transaction)) {
		batch->failed = batch->transaction;
		batch->failure = CALL_DONE;
	}
	if (batch->failed == NULL && !batch->replay) {
		/* The server commits when it reads the COMMIT, which leaves before its Sync. */
		pg_batch_enter(batch, PG_BATCH_SENT);
		return true;
	}
	if (batch->state != PG_BATCH_FAILED)
		pg_batch_enter(batch, PG_BATCH_FAILED);
	return false;
}

/* The batch ends, and its calls leave it. */
static void leave_batch(struct pg_batch *batch, struct list *calls)
{
	list_init(calls);
	list_splice(calls, &batch->calls);
	batch->count = 0;
	pg_batch_enter(batch, PG_BATCH_EMPTY);
}

static void finish_all(struct list *calls)
{
	while (!list_empty(calls)) {
		struct call *call = call_of(list_first(calls));

		list_remove(&call->link);
		pg_store_finish(call);
	}
}

static void restart(struct postgres_store *store, struct call *call, enum pg_route route)
{
	if (call->method != NULL)
		execute_restart(call);
	else
		call->err.kind = ERR_NONE;
	call->route = (uint8_t)(pg_batch_is_own(call) ? ROUTE_ALONE : route);
	if (!store->reads_only)
		call->position = 0;
	store->retries++;
}

/* Finishes the calls of a committed batch; refused ones with a key may run again. */
static void finish_committed(struct postgres_store *store, struct list *calls, struct list *again)
{
	while (!list_empty(calls)) {
		struct call *call = call_of(list_first(calls));

		list_remove(&call->link);
		if (call->route == ROUTE_DROPPED) {
			restart(store, call, ROUTE_TOGETHER);
		} else if (call->idempotency == NULL || !pg_replay_looks_again(call)) {
			pg_store_finish(call);
			continue;
		} else {
			restart(store, call, ROUTE_ALONE);
		}
		list_append(again, &call->link);
	}
}

/* A batch that was rolled back because of keys: all of its calls run again. collided: it has failed
 * to store one. */
static void replay_all(struct postgres_store *store, struct list *calls, bool collided)
{
	list_for_each (node, calls) {
		struct call *call = call_of(node);

		restart(store, call,
			pg_replay_alone(call, collided) ? ROUTE_ALONE : ROUTE_TOGETHER);
	}
}

/* Puts calls at the front of the connection's queue. */
static void put_back(struct pg_connection *connection, struct pg_batch *batch, struct list *calls)
{
	gather_undo(batch, calls);
	list_for_each (node, calls)
		connection->waiting_count++;
	list_splice_front(&connection->waiting, calls);
}

/* Whether the failed call's error is final. An error that other transactions caused is retried. A
 * transaction has seen one state of the database and fails when another commits first, which one of
 * many can do to it many times. */
static bool tries_again(struct call *call, enum outcome failure)
{
	bool late = call->deadline != 0 && call->deadline <= clock_ns();

	if (failure == CALL_DONE || late)
		return false;
	return ++call->attempts <
		(transaction_is(call) && failure == CALL_RETRY ? TRANSACTION_TRIES_MAX : TRIES_MAX);
}

/* One call has rolled back the batch's transaction. The calls before it run again as a batch, then
 * it alone, then those after it.
 *
 * Reads before it are answered. So is the call itself if nothing was written before it: it saw the
 * same data as it would alone. */
static void pg_batch_split(struct postgres_store *store, struct list *batch, struct call *failed,
	enum outcome failure, struct list *again)
{
	bool wrote = false, behind = false;
	/* A standby has not told what they have shown. */
	bool answers = !store->reads_only;

	list_for_each (node, batch) {
		if (call_of(node) == failed)
			break;
		wrote = wrote || call_writes(call_of(node));
	}
	list_for_each_safe (node, batch) {
		struct call *call = call_of(node);

		list_remove(node);
		if (call == failed) {
			behind = true;
			if (!wrote && !tries_again(call, failure) && !pg_replay_looks_again(call)) {
				pg_store_finish(call);
				continue;
			}
			restart(store, call, ROUTE_ALONE);
		} else if (answers && !behind && !wrote && call->route != ROUTE_KEPT &&
			call->route != ROUTE_DROPPED) {
			pg_store_finish(call);
			continue;
		} else {
			restart(store, call, ROUTE_TOGETHER);
		}
		list_append(again, node);
	}
}

/* The commit itself failed: each call runs again on its own, which isolates the call that causes
 * the failure. */
static void take_apart(struct postgres_store *store, struct list *batch, struct call *failed,
	enum outcome failure, struct list *again)
{
	bool single = batch->next->next == batch;

	if (single && !tries_again(failed, failure)) {
		finish_all(batch);
		return;
	}
	list_for_each (node, batch)
		restart(store, call_of(node), ROUTE_ALONE);
	list_splice(again, batch);
}

/* If the wait for a synchronous standby is cancelled, the server reports success with a warning,
 * but the commit may not be on the standby. The daemon's own statements raise no warnings, so any
 * warning makes the outcome uncertain. */
static void doubt_commit(struct postgres_store *store, struct list *batch, bool cancelled)
{
	list_for_each (node, batch) {
		struct call *call = call_of(node);

		if (!call_writes(call) || call->err.kind != ERR_NONE)
			continue;
		if (cancelled)
			execute_fail(call, ERR_TIMEOUT,
				"the call's time ran out while it was being stored");
		else
			execute_fail(call, ERR_UNAVAILABLE,
				"the database server warned while it stored the call: it may be "
				"stored on "
				"one server only");
		call->err.outcome = OUTCOME_UNKNOWN;
		store->timeouts += cancelled;
	}
}

/* On the primary the batch tells which position covers its reads, on a standby whether they count.
 */
static void take_proof(struct postgres_store *store, struct pg_connection *connection,
	struct list *calls, struct list *again)
{
	if (store->reads_only) {
		split_batch_ended(store->split, connection, calls, again);
		return;
	}
	list_for_each (node, calls)
		if (call_of(node)->method != NULL && call_of(node)->method->causal)
			call_of(node)->position = connection->front->proof.replayed;
}

void pg_batch_end(struct postgres_store *store, struct pg_connection *connection)
{
	struct pg_batch *batch = connection->front;
	bool commit_failed =
		batch->state == PG_BATCH_COMMIT_FAILED || batch->state == PG_BATCH_ENDING;
	struct call *failed = batch->failed;
	struct list calls, again;
	unsigned count = batch->count;
	uint64_t now = clock_ns();

	list_init(&again);
	leave_batch(batch, &calls);
	pg_connection_measure(connection, now - batch->sent_at);
	if (!batch->upkeep)
		connection->last_used = now;
	batch->failed = NULL;
	store->unserved = 0;
	store->transactions++;
	store->batched += count;
	if (count > store->batch_max)
		store->batch_max = count;
	if (failed != NULL)
		encoder_drop(store, batch);
	if (failed == NULL && store->split != NULL)
		take_proof(store, connection, &calls, &again);
	if (batch->replay) {
		encoder_drop(store, batch);
		replay_all(store, &calls, failed != NULL);
		list_splice(&again, &calls);
	} else if (failed == NULL) {
		if (batch->warned)
			doubt_commit(store, &calls, batch->cancelled_at != 0);
		if (connection->batch_limit < PG_BATCH_MAX)
			connection->batch_limit *= 2;
		/* Promoted meanwhile: the next connection asks for its timeline. */
		if (connection->standby && batch->writes)
			pg_connection_closing(connection);
		encoder_submit(store, batch);
		finish_committed(store, &calls, &again);
	} else {
		/* When many calls fail, smaller batches repeat less work. */
		if (batch->transaction == NULL)
			connection->batch_limit =
				connection->batch_limit > 4 ? connection->batch_limit / 4 : 1;
		pg_replay_refused(batch, failed);
		if (commit_failed)
			take_apart(store, &calls, failed, batch->failure, &again);
		else
			pg_batch_split(store, &calls, failed, batch->failure, &again);
	}
	pg_connection_next(connection, !list_empty(&again));
	put_back(connection, batch, &again);
}

static void lost_call(struct postgres_store *store, struct call *call, bool committed_perhaps,
	bool timed_out, struct list *again)
{
	bool late = call->deadline != 0 && call->deadline <= clock_ns();
	enum err_kind kind = late || timed_out ? ERR_TIMEOUT : ERR_UNAVAILABLE;

	bool repeatable = !committed_perhaps || call->idempotency != NULL;

	if (committed_perhaps && call->idempotency != NULL)
		call->idempotency->doubtful = call->idempotency->look = true;
	if (!late && (!call_writes(call) || repeatable || call->method->touches) &&
		++call->attempts <= (call_writes(call) ? TRIES_MAX : 1)) {
		restart(store, call, ROUTE_TOGETHER);
		list_append(again, &call->link);
		return;
	}
	if (call->method == NULL)
		err_set(&call->err, kind, "the connection to the database was lost");
	else if (call_writes(call) && committed_perhaps)
		execute_fail(call, kind,
			"the connection to the database was lost while the call was being stored");
	else
		execute_fail(call, kind, "the connection to the database was lost");
	call->err.outcome = call_writes(call) && committed_perhaps ? OUTCOME_UNKNOWN : OUTCOME_NONE;
	store->timeouts += kind == ERR_TIMEOUT;
	pg_store_finish(call);
}

/* begun: the server may have begun the batch. */
static void lost_batch(struct postgres_store *store, struct pg_connection *connection,
	struct pg_batch *batch, bool begun, bool timed_out)
{
	bool committed_perhaps = begun && batch->state == PG_BATCH_SENT && !batch->replay,
	     unserved = batch->state == PG_BATCH_UNSERVED || !begun;
	struct list calls, again;

	encoder_drop(store, batch);
	list_init(&again);
	leave_batch(batch, &calls);
	while (!list_empty(&calls)) {
		struct call *call = call_of(list_first(&calls));

		list_remove(&call->link);
		/* The refusal of a call whose key was found is the effect of its own row. */
		if (call == batch->failed && batch->failure == CALL_DONE && !batch->replay &&
			!pg_replay_looks_again(call)) {
			pg_store_finish(call);
		} else if (unserved && (call->deadline == 0 || call->deadline > clock_ns())) {
			/* Waits on, as for a connection: for as long as calls may wait for one. */
			restart(store, call, ROUTE_TOGETHER);
			list_append(&again, &call->link);
		} else {
			lost_call(store, call, committed_perhaps, timed_out, &again);
		}
	}
	batch->failed = NULL;
	put_back(connection, batch, &again);
}

/* From the last batch to the first, whose calls then wait before the others. */
void pg_batch_lost(struct postgres_store *store, struct pg_connection *connection, bool timed_out)
{
	for (unsigned i = connection->in_flight; i-- > 0;)
		lost_batch(store, connection, pg_connection_batch(connection, i),
			i == 0 || !connection->session_ended, timed_out && i == 0);
	connection->in_flight = 0;
	connection->back = connection->front;
	connection->draining = false;
}
