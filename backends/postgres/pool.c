/* The pool opens connections and enforces time limits. */
#include "pool.h"

#include <syslog.h>

#include "../../protocol/value.h"
#include "../execute.h"
#include "blocking/jobs.h"
#include "cluster/takeover.h"
#include "outage.h"
#include "pg_connection.h"
#include "pg_store.h"
#include "placing.h"

enum { CONNECTS_AT_ONCE = 2, CANCEL_GRACE_MS = 2000, DUE_STEP_MS = 250 };
static const uint64_t ms = 1000000;

void pool_distribute(struct postgres_store *store)
{
	placing_place_waiting(store);
	for (unsigned i = 0; i < store->connection_limit; i++)
		while (pg_connection_send(store, &store->connections[i]))
			;
	pool_connect_more(store);
}

static unsigned count_open(const struct postgres_store *store)
{
	unsigned count = 0;

	for (unsigned i = 0; i < store->connection_limit; i++)
		count += store->connections[i].state != PG_CONNECTION_CLOSED;
	return count;
}

/* Another connection helps when calls wait for one, or when every one has large answers or a full
 * queue behind its batch. */
static bool crowded(const struct postgres_store *store)
{
	uint64_t now = clock_ns();

	if (store->waiting_count > 0)
		return now >= store->hold_until;
	for (unsigned i = 0; i < store->connection_limit; i++)
		if (store->connections[i].state == PG_CONNECTION_CONNECTING ||
			(pg_connection_usable(&store->connections[i]) &&
				store->connections[i].waiting_count <= PLACING_FILL_FIRST &&
				!placing_carries_large(&store->connections[i]) &&
				!placing_slow(&store->connections[i], now)))
			return false;
	return true;
}

static void connected(struct postgres_store *store, struct pg_connection *connection, PGconn *pq,
	const struct lineage *lineage, const char *error)
{
	store->connecting--;
	if (pq != NULL && !takeover_admits(store, pq, lineage)) {
		PQfinish(pq);
		pq = NULL;
		error = store->gone_back;
	}
	if (pq == NULL) {
		pg_connection_enter(connection, PG_CONNECTION_CLOSED);
		store->connect_failures++;
		store->failures++;
		store->retry_at = clock_ns() + outage_backoff(store->failures);
		outage_note(store, error);
		return;
	}
	if (store->failures > 0) {
		store->settings.log(
			5, "the database answers again (failed attempts: %u)", store->failures);
		(void)failure_log_end(&store->failure_log);
	}
	store->failures = 0;
	store->retry_at = 0;
	if (store->closing) {
		PQfinish(pq);
		pg_connection_enter(connection, PG_CONNECTION_CLOSED);
		return;
	}
	pg_connection_adopt(store, connection, pq, lineage);
	takeover_cut(store);
	pool_timers(store); /* calls behind a slow batch now have a better choice */
}

void pool_connect_more(struct postgres_store *store)
{
	for (unsigned i = 0; i < store->connection_limit && store->connecting < CONNECTS_AT_ONCE;
		i++) {
		struct pg_connection *connection = &store->connections[i];
		unsigned have = count_open(store);
		struct target target;

		if (connection->state != PG_CONNECTION_CLOSED)
			continue;
		if (store->closing || (store->retry_at != 0 && store->retry_at > clock_ns()) ||
			!(have < store->settings.min_connections || crowded(store)))
			return;
		/* After failures, connects one at a time: many at once would overload a server that
		 * has just restarted. */
		if (store->failures > 0 && store->connecting > 0)
			return;
		pg_connection_enter(connection, PG_CONNECTION_CONNECTING);
		store->connecting++;
		target = takeover_target(store, clock_ns());
		if (!jobs_connect(store, connection, &target, connected)) {
			pg_connection_enter(connection, PG_CONNECTION_CLOSED);
			store->connecting--;
			store->retry_at = clock_ns() + 100 * ms;
			return;
		}
	}
}

static void refuse_waiting(struct postgres_store *store, struct call *call, enum err_kind kind)
{
	char cause[ERR_MESSAGE_MAX];

	outage_cause(store, cause);
	if (call->method == NULL)
		err_set(&call->err, kind, "no database connection in time: %.270s", cause);
	else if (kind == ERR_TIMEOUT)
		execute_fail(call, kind, "the call's time ran out before it could run");
	else
		execute_fail(call, kind, "no database connection in time: %.270s", cause);
	call->err.outcome = OUTCOME_NONE;
	pg_store_finish(call);
}

static uint64_t patience_ends(const struct postgres_store *store, const struct call *call)
{
	uint64_t end = call->submitted + store->settings.acquire_timeout_ms * ms;

	return call->deadline == 0 ? UINT64_MAX : end < call->deadline ? end : call->deadline;
}

static void expire_waiting(struct postgres_store *store, uint64_t now)
{
	list_for_each_safe (node, &store->waiting) {
		struct call *call = call_of(node);

		if (patience_ends(store, call) > now)
			continue;
		list_remove(node);
		store->waiting_count--;
		refuse_waiting(store, call, ERR_UNAVAILABLE);
	}
}

/* Marks client connections with a call in a running batch: their later calls wait for that batch,
 * not for a connection. */
static void mark_under_way(const struct pg_connection *connection, bool mark)
{
	for (unsigned i = 0; i < connection->in_flight; i++)
		list_for_each (node, &pg_connection_batch(connection, i)->calls)
			if (call_of(node)->order != NULL)
				call_of(node)->order->connection = mark ? 0 : connection->number;
}

/* A call that only queues behind the batch waits for a connection, for which its limit is shorter
 * than its deadline. */
static void expire_on_connection(
	struct postgres_store *store, struct pg_connection *connection, uint64_t now)
{
	struct list expired;

	list_init(&expired);
	mark_under_way(connection, true);
	list_for_each_safe (node, &connection->waiting) {
		struct call *call = call_of(node);
		bool follows = call->method == NULL ||
			(call->order != NULL && call->order->connection == 0);
		uint64_t end = follows ? call->deadline : patience_ends(store, call);

		if (end == 0 || end > now)
			continue;
		list_remove(node);
		connection->waiting_count--;
		list_append(&expired, node);
	}
	mark_under_way(connection, false);
	while (!list_empty(&expired)) {
		struct call *call = call_of(list_first(&expired));
		bool late = call->deadline != 0 && call->deadline <= now;

		list_remove(&call->link);
		store->timeouts += late;
		refuse_waiting(store, call, late ? ERR_TIMEOUT : ERR_UNAVAILABLE);
	}
}

/* Cancels a running batch whose time has run out: the first one, since a cancel ends what the
 * server is doing. A connection whose server does not react to that is closed. */
static void mind_batch(struct postgres_store *store, struct pg_connection *connection, uint64_t now)
{
	struct pg_batch *batch = connection->front;
	bool late = false;

	if (batch->encoding > 0 || batch->encoded)
		return; /* its calls are in use */
	list_for_each (node, &batch->calls)
		late = late || (call_of(node)->deadline != 0 && call_of(node)->deadline <= now);
	if (late && batch->cancelled_at == 0) {
		batch->cancelled_at = now;
		jobs_cancel(store, connection);
	} else if (batch->cancelled_at != 0 && now - batch->cancelled_at > CANCEL_GRACE_MS * ms) {
		pg_connection_break(store, connection, "the server did not answer in time", true);
	} else if (list_empty(&batch->calls) && now - batch->sent_at > CANCEL_GRACE_MS * ms) {
		pg_connection_break(store, connection,
			"the server did not answer after a connection was idle", false);
	}
}

/* Calls that only queue behind a slow batch move elsewhere. Those whose client has a call in the
 * batch must stay behind it. */
static void release_waiting(struct postgres_store *store, struct pg_connection *connection)
{
	struct list moved;

	list_init(&moved);
	mark_under_way(connection, true);
	list_for_each_safe (node, &connection->waiting) {
		struct call *call = call_of(node);

		if (call->order != NULL && call->order->connection == 0)
			continue;
		list_remove(node);
		connection->waiting_count--;
		list_append(&moved, node);
		store->waiting_count++;
	}
	list_for_each (node, &moved)
		if (call_of(node)->order != NULL)
			call_of(node)->order->connection = 0;
	mark_under_way(connection, false);
	list_splice(&store->waiting, &moved);
}

/* Whether a call that waits for a slow batch has a better choice. */
static bool has_better(const struct postgres_store *store, uint64_t now)
{
	for (unsigned i = 0; i < store->connection_limit; i++)
		if (pg_connection_usable(&store->connections[i]) &&
			!placing_slow(&store->connections[i], now))
			return true;
	return false;
}

static void mind_idle(struct postgres_store *store, struct pg_connection *connection, uint64_t now)
{
	/* Such a cancel could still arrive, and hit another batch. */
	if (connection->cancelling != 0 && now - connection->cancelling > CANCEL_GRACE_MS * ms) {
		pg_connection_close(store, connection);
		return;
	}
	if (!list_empty(&connection->waiting))
		return;
	if (pg_connection_outlived(store, connection, now) ||
		(store->settings.idle_timeout_ms != 0 &&
			now - connection->last_used > store->settings.idle_timeout_ms * ms &&
			count_open(store) > store->settings.min_connections))
		pg_connection_close(store, connection);
}

/* On a connection that is idle at the moment, so that no call waits for it. */
static void forget_keys_if_due(struct postgres_store *store, uint64_t now)
{
	for (unsigned i = 0; now >= store->forget_at && i < store->connection_limit; i++)
		if (store->connections[i].state == PG_CONNECTION_IDLE &&
			list_empty(&store->connections[i].waiting)) {
			(void)pg_connection_upkeep(store, &store->connections[i], pg_replay_forget);
			return;
		}
}

void pool_timers(struct postgres_store *store)
{
	uint64_t now = clock_ns();

	expire_waiting(store, now);
	takeover_scout(store, now);
	jobs_expire(store, now);
	for (unsigned i = 0; i < store->connection_limit; i++) {
		struct pg_connection *connection = &store->connections[i];

		expire_on_connection(store, connection, now);
		if (pg_connection_has_batch(connection) && !list_empty(&connection->waiting) &&
			!store->reads_only && placing_slow(connection, now) &&
			has_better(store, now))
			release_waiting(store, connection);
		if (pg_connection_has_batch(connection))
			mind_batch(store, connection, now);
		else if (connection->state == PG_CONNECTION_IDLE)
			mind_idle(store, connection, now);
	}
	forget_keys_if_due(store, now);
}

/* When the running batch is late, or slow and delays others. In steps, which spares a new timer for
 * every batch. */
static uint64_t pg_batch_due(
	const struct postgres_store *store, const struct pg_connection *connection, uint64_t now)
{
	uint64_t end, next = UINT64_MAX;

	if (!pg_connection_has_batch(connection))
		return connection->state == PG_CONNECTION_IDLE && connection->cancelling != 0
			? connection->cancelling + CANCEL_GRACE_MS * ms
			: 0;
	end = connection->front->cancelled_at != 0
		? connection->front->cancelled_at + CANCEL_GRACE_MS * ms
		: connection->front->due;
	if (!list_empty(&connection->waiting))
		next = placing_slow(connection, now)
			? patience_ends(store, call_of(connection->waiting.next))
			: connection->front->sent_at + PLACING_SLOW_MS * ms;
	/* A patience that is over is one that does not count: the call follows another. */
	if (next != UINT64_MAX && next > now && (end == 0 || next < end))
		end = next;
	return end == 0 ? 0 : (end / (DUE_STEP_MS * ms) + 1) * DUE_STEP_MS * ms;
}

uint64_t pool_next_due(struct postgres_store *store)
{
	uint64_t now = clock_ns();
	uint64_t due = store->retry_at != 0 && store->connecting == 0 ? store->retry_at : 0;

	if (!list_empty(&store->waiting)) {
		if (store->hold_until > now && (due == 0 || store->hold_until < due))
			due = store->hold_until;
		uint64_t patience = patience_ends(store, call_of(list_first(&store->waiting)));

		if (patience != UINT64_MAX && (due == 0 || patience < due))
			due = patience;
	}
	for (unsigned i = 0; i < store->connection_limit; i++) {
		uint64_t end = pg_batch_due(store, &store->connections[i], now);

		if (end != 0 && (due == 0 || end < due))
			due = end;
	}
	return due;
}
