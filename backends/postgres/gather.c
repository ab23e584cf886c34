/* Selects the calls of a connection's next batch from those that wait on it, and orders them.
 *
 * A batch is one transaction, which keeps the locks of the rows that it changes until its commit.
 * Two batches that lock the same rows in different orders would deadlock, which the server detects
 * after a second. Several daemons share a database, so every batch takes its locks in the same
 * order: by table, then by key (commute.c).
 *
 *     calls without locks | calls that lock, sorted | calls that must follow one of those
 *
 * Calls of one client connection are reordered only where the client cannot observe it. Where their
 * order contradicts that of the locks, the call and later ones of its client wait for the next
 * batch.
 *
 * A batch holds its results until its end, and an answer stays in memory until its client has taken
 * it. So reads of connections whose last answer was large go one by one. While clients hold all of
 * memory-limit, they wait, and one begins every STORE_LARGE_WAIT_NS. Other lists are limited in
 * number for each client. One that turns out to be large when there is no memory is dropped and
 * runs again (pg_receive.c), except behind a write: it could then see later writes of its client.
 */
#include "gather.h"

#include <stdlib.h>

#include "../../protocol/value.h"
#include "../execute.h"
#include "commute.h"
#include "idempotency/pg_once.h"
#include "idempotency/pg_replay.h"
#include "pg_store.h"

enum gather_place { PLACE_BEFORE, PLACE_LOCKS, PLACE_BEHIND, PLACE_NEXT_BATCH };
enum {
	BATCH_BYTES = 1024 * 1024
}; /* max bytes of parameters: libpq never returns the memory of its buffers */
enum {
	ORDERED_MAX = 128
}; /* max calls of one connection that lock, or follow one that does: each is compared with all */

enum {
	UNKNOWN_LISTS = 2, /* max lists in a batch of clients that have had none yet */
	CLIENT_LISTS = 16, /* max lists of one client in a batch */
	WRITING_LISTS = 8, /* max lists of a batch that also writes */
};

/* How much earlier than that of the batch under way the time of a call may end that is sent behind
 * it: a time-out is noticed when its batch is the first. */
static const uint64_t ahead_less_ns = UINT64_C(1000000000);

/* The batch being gathered. */
struct gathering {
	struct pg_connection *connection;
	struct pg_batch *batch; /* the connection's last one */
	bool ahead;             /* others are under way before it */
	struct call **locking;  /* space of the connection's merged calls, unused until the batch is
	                           sent */
	unsigned locking_count;
	bool unsorted;            /* not yet sorted by their locks */
	const struct call *alike; /* of the batch including the current call */
	bool many;     /* it holds a call that locks many rows, and no other that locks */
	bool single;   /* limited to one */
	bool no_room;  /* a call waits for memory */
	bool unproven; /* a call waits until a standby is known to have replayed more */
	struct list behind, ended; /* calls that end without being sent */
};

static void gather_expire(struct postgres_store *store, struct call *call)
{
	execute_fail(call, ERR_TIMEOUT, "the call's time ran out before it could run");
	call->err.outcome = OUTCOME_NONE;
	store->timeouts++;
	pg_store_finish(call);
}

static bool lock_fits(const struct gathering *gathering, enum lock lock)
{
	if (gathering->many || (gathering->single && gathering->locking_count > 0))
		return false;
	return lock != LOCK_MANY || gathering->locking_count == 0;
}

/* Compares a call with the calls of its connection in the batch, from the first lock on. Most
 * comparisons end at the masks of tables, or at a call of the same method and keys, which was
 * compared with all before it. */
static enum gather_place gather_place_of(
	struct gathering *gathering, const struct call *call, const struct order *order)
{
	enum lock lock = commute_lock(call);
	enum gather_place place = lock != LOCK_NONE ? PLACE_LOCKS : PLACE_BEFORE;

	gathering->alike = NULL;
	if (lock != LOCK_NONE && !lock_fits(gathering, lock))
		return PLACE_NEXT_BATCH;
	if (order == NULL || order->ordered == NULL)
		return place;
	if (order->ordered_count >= ORDERED_MAX)
		return PLACE_NEXT_BATCH;
	if (!commute_shares_tables(call, order->ordered_reads, order->ordered_writes))
		return place;
	for (const struct call *before = order->ordered; before != NULL; before = before->before) {
		if (commute_alike(before, call)) {
			gathering->alike = before;
			return (enum gather_place)before->place;
		}
		if (!commute_conflicts(before, call))
			continue;
		if (lock == LOCK_NONE)
			return PLACE_BEHIND;
		if (before->place == PLACE_BEHIND || commute_compare(before, call) > 0)
			return PLACE_NEXT_BATCH;
	}
	return place;
}

static int compare_locks(const void *left, const void *right)
{
	const struct call *a = *(struct call *const *)left, *b = *(struct call *const *)right;
	int difference = commute_compare(a, b);

	return difference != 0 ? difference : (a->number > b->number) - (a->number < b->number);
}

/* The last two of them. */
static bool locks_in_order(const struct gathering *gathering)
{
	struct call *const *last = gathering->locking + gathering->locking_count - 1;

	if (gathering->locking_count < 2)
		return true;
	return last[-1] == gathering->alike ? last[-1]->number < last[0]->number
					    : compare_locks(last - 1, last) <= 0;
}

bool gather_has_room(const struct postgres_store *store)
{
	return store->answer_room > store->encoder.kept;
}

static bool is_large(const struct call *call)
{
	return call->order != NULL && call->order->large;
}

static bool is_list(const struct call *call)
{
	return call->method != NULL && !call_writes(call) && !call->method->short_read;
}

static bool is_unknown(const struct call *call)
{
	return call->order != NULL && !call->order->small_list;
}

/* Whether its end is not far: it is a look-up by key or a write, and waits for no lock. */
static bool is_quick(const struct call *call)
{
	return !is_large(call) && !is_list(call) && call->method != NULL &&
		(call->method->touches || commute_lock(call) == LOCK_NONE);
}

/* A large answer is the only one of its batch, and begins when there is memory. */
static bool large_fits(struct postgres_store *store, struct gathering *gathering, uint64_t now)
{
	struct pg_batch *batch = gathering->batch;

	if (batch->large > 0)
		return false;
	if (gather_has_room(store) || now - store->large_began >= STORE_LARGE_WAIT_NS) {
		store->large_began = now;
		return true;
	}
	gathering->no_room = store->no_room = true;
	return false;
}

/* False: the call waits for another batch. */
static bool answer_fits(struct postgres_store *store, struct gathering *gathering,
	const struct call *call, uint64_t now)
{
	struct pg_batch *batch = gathering->batch;

	if (call_writes(call))
		return batch->lists <= WRITING_LISTS;
	if (call->method != NULL && is_large(call))
		return large_fits(store, gathering, now);
	if (!is_list(call))
		return true;
	if (is_unknown(call) && batch->unknown >= UNKNOWN_LISTS)
		return false;
	return (call->order == NULL || call->order->lists < CLIENT_LISTS) &&
		(!batch->writes || batch->lists < WRITING_LISTS);
}

static void gather_take(struct postgres_store *store, struct gathering *gathering,
	struct call *call, enum gather_place place, uint64_t now)
{
	struct order *order = call->order;

	if (call->attempts == 0 && call->submitted != 0 && call->submitted < now) {
		store->waits++;
		store->wait_ns += now - call->submitted;
	}
	if (call->idempotency != NULL)
		pg_replay_gather(gathering->batch, call);
	gathering->batch->count++;
	gathering->batch->bytes += call->arena.total;
	gathering->batch->large += is_large(call);
	gathering->batch->causal += call->method != NULL && call->method->causal;
	if (is_large(call))
		gathering->batch->admitted = call;
	gathering->batch->writes = gathering->batch->writes || call_writes(call);
	if (is_list(call)) {
		gathering->batch->lists++;
		gathering->batch->unknown += is_unknown(call);
		if (order != NULL)
			order->lists++;
	}
	gathering->batch->quick = gathering->batch->quick && is_quick(call);
	if (order != NULL)
		order->sent = store->gathered;
	call->place = (uint8_t)place;
	if (place == PLACE_BEFORE) {
		list_append(&gathering->batch->calls, &call->link);
		return;
	}
	if (order != NULL) {
		call->before = order->ordered;
		order->ordered = call;
		order->ordered_count++;
		commute_add_tables(call, &order->ordered_reads, &order->ordered_writes);
	}
	if (place == PLACE_BEHIND) {
		list_append(&gathering->behind, &call->link);
		return;
	}
	gathering->many = commute_lock(call) == LOCK_MANY;
	gathering->locking[gathering->locking_count++] = call;
	gathering->unsorted = gathering->unsorted || !locks_in_order(gathering);
	gathering->batch->locking += commute_changes_rows(call);
}

/* Discards the state of an earlier batch. */
static void begin_order(struct postgres_store *store, struct order *order)
{
	if (order == NULL || order->gathered == store->gathered)
		return;
	order->gathered = store->gathered;
	order->ordered = NULL;
	order->ordered_count = order->lists = 0;
	order->ordered_reads = order->ordered_writes = 0;
	order->held_back = false;
}

static void gather_join(struct gathering *gathering)
{
	struct list *batch = &gathering->batch->calls;

	if (gathering->unsorted)
		qsort(gathering->locking, gathering->locking_count, sizeof(struct call *),
			compare_locks);
	for (unsigned i = 0; i < gathering->locking_count; i++)
		list_append(batch, &gathering->locking[i]->link);
	list_splice(batch, &gathering->behind);
}

/* The connection makes progress, and the call waits for its turn there: it does not wait for a
 * connection, for which its time is shorter. */
static void wait_anew(struct call *call, uint64_t now)
{
	if (call->submitted != 0)
		call->submitted = now;
}

/* Behind batches that are under way. Later calls do not overtake one that may not. */
static bool may_go_ahead(const struct gathering *gathering, const struct call *call)
{
	uint64_t due = gathering->connection->front->due;

	return call->route != ROUTE_ALONE && (call->idempotency == NULL || pg_once_is(call)) &&
		(call->deadline == 0 || due == 0 || call->deadline + ahead_less_ns >= due);
}

/* False: the batch is complete. */
static bool consider(
	struct postgres_store *store, struct gathering *gathering, struct call *call, uint64_t now)
{
	struct pg_connection *connection = gathering->connection;
	struct pg_batch *batch = gathering->batch;
	struct order *order = call->order;
	bool alone = call->route == ROUTE_ALONE;
	enum gather_place place;

	begin_order(store, order);
	if (order != NULL && gathering->ahead && pg_connection_carries(connection, order))
		order->held_back = true;
	if (store->reads_only && !split_may_send(store->split, connection, call))
		gathering->unproven = order->held_back = true;
	if (order != NULL && order->held_back) {
		wait_anew(call, now);
		return true;
	}
	if (alone && batch->count > 0)
		return false;
	if (gathering->ahead && !may_go_ahead(gathering, call))
		return false;
	place = gather_place_of(gathering, call, order);
	if (place == PLACE_NEXT_BATCH ||
		(call->idempotency != NULL && !pg_replay_fits(store, batch, call)) ||
		!answer_fits(store, gathering, call, now)) {
		if (order == NULL)
			return false;
		wait_anew(call, now);
		order->held_back = true;
		return true;
	}
	list_remove(&call->link);
	connection->waiting_count--;
	if ((call->deadline != 0 && call->deadline <= now) || !execute_admit(call)) {
		list_append(&gathering->ended, &call->link);
		return true;
	}
	gather_take(store, gathering, call, place, now);
	return !alone;
}

bool gather_postgres(struct postgres_store *store, struct pg_connection *connection)
{
	unsigned limit = connection->batch_limit < store->settings.batch ? connection->batch_limit
									 : store->settings.batch,
		 seen = 0;
	uint64_t now = clock_ns();
	struct pg_batch *batch = connection->back;
	struct gathering gathering = {.connection = connection,
		.batch = batch,
		.ahead = connection->in_flight > 0,
		.locking = batch->merged,
		.single = now < store->careful_until};

	if (limit < 1)
		limit = 1;
	if (limit > PG_BATCH_MAX)
		limit = PG_BATCH_MAX;
	list_init(&gathering.behind);
	list_init(&gathering.ended);
	batch->gathered = ++store->gathered;
	list_for_each_safe (node, &connection->waiting) {
		if (batch->count >= limit || batch->bytes >= BATCH_BYTES ||
			++seen > 2 * PG_BATCH_MAX ||
			!consider(store, &gathering, call_of(node), now))
			break;
	}
	gather_join(&gathering);
	while (!list_empty(&gathering.ended)) {
		struct call *call = call_of(list_first(&gathering.ended));

		list_remove(&call->link);
		if (call->err.kind != ERR_NONE || call->dropped)
			pg_store_finish(call);
		else
			gather_expire(store, call);
	}
	return batch->count > 0 || (!gathering.no_room && !gathering.ahead && !gathering.unproven);
}

static int compare_arrival(const void *left, const void *right)
{
	const struct call *a = *(struct call *const *)left, *b = *(struct call *const *)right;

	return (a->number > b->number) - (a->number < b->number);
}

void gather_undo(struct pg_batch *batch, struct list *calls)
{
	unsigned count = 0;

	while (!list_empty(calls)) {
		batch->merged[count++] = call_of(list_first(calls));
		list_remove(list_first(calls));
	}
	if (count > 1)
		qsort(batch->merged, count, sizeof(struct call *), compare_arrival);
	for (unsigned i = 0; i < count; i++)
		list_append(calls, &batch->merged[i]->link);
}
