#include "placing.h"

#include "../../protocol/value.h"
#include "cluster/takeover.h"
#include "commute.h"
#include "outage.h"
#include "pg_store.h"

enum { SLOW_LOAD = 1 << 24, LARGE_LOAD = 4096 };
static const uint64_t placing_ms = 1000000;

bool placing_slow(const struct pg_connection *connection, uint64_t now)
{
	return pg_connection_has_batch(connection) &&
		now > connection->front->sent_at + PLACING_SLOW_MS * placing_ms;
}

bool placing_carries_large(const struct pg_connection *connection)
{
	return connection->state == PG_CONNECTION_BUSY && connection->back->large > 0;
}

static unsigned calls_under_way(const struct pg_connection *connection)
{
	unsigned count = 0;

	for (unsigned i = 0; i < connection->in_flight; i++)
		count += pg_connection_batch(connection, i)->count;
	return count;
}

/* Estimated wait of a call there. The first connections fill up before the next is used: a larger
 * batch costs less than a second commit. */
static unsigned load_of(
	const struct postgres_store *store, const struct pg_connection *connection, uint64_t now)
{
	bool slow = placing_slow(connection, now) || connection->cancelling != 0;
	unsigned load;

	if (connection->state == PG_CONNECTION_IDLE &&
		connection->waiting_count < PLACING_FILL_FIRST && !slow)
		return 0;
	load = connection->waiting_count + (slow ? SLOW_LOAD : 0U) +
		(placing_carries_large(connection) ? LARGE_LOAD : 0U);
	if (connection->state != PG_CONNECTION_BUSY)
		return load;
	/* A call that can be sent ahead does not wait for those that are under way. */
	return load + calls_under_way(connection) +
		(connection->far && pg_connection_sends_ahead(store, connection, now)
				? 0
				: PLACING_FILL_FIRST);
}

static struct pg_connection *least_loaded(
	struct postgres_store *store, unsigned from, bool backwards, uint64_t now)
{
	struct pg_connection *best = NULL;

	for (unsigned i = from; i < store->connection_limit; i++) {
		struct pg_connection *connection =
			&store->connections[backwards ? store->connection_limit - 1 - (i - from)
						      : i];

		if (pg_connection_usable(connection) &&
			(best == NULL ||
				load_of(store, connection, now) < load_of(store, best, now)))
			best = connection;
	}
	return best;
}

/* Evaluations over many rows use the last connections, away from look-ups. Calls that change rows
 * join the connection that has several of them (see gather.c). Clients that read megabytes avoid
 * the first connections while there are others. */
static struct pg_connection *placing_choose(
	struct postgres_store *store, const struct call *call, uint64_t now)
{
	bool reads = call->method != NULL && !call->method->write,
	     large = reads && call->order != NULL && call->order->large;
	struct pg_connection *best = NULL, *locker = store->locker;

	if (commute_changes_rows(call) && locker != NULL && pg_connection_usable(locker) &&
		!placing_slow(locker, now) && !placing_carries_large(locker) &&
		((locker->state == PG_CONNECTION_BUSY && locker->back->locking > 1) ||
			locker->waiting_count > 0))
		return locker;
	if (large)
		best = least_loaded(store, (store->connection_limit + 3) / 4, true, now);
	if (best == NULL)
		best = least_loaded(store, 0, reads && !call->method->short_read, now);
	if (commute_changes_rows(call))
		store->locker = best;
	return best;
}

void placing_on(struct pg_connection *connection, struct call *call)
{
	list_append(&connection->waiting, &call->link);
	connection->waiting_count++;
	if (call->order != NULL)
		call->order->connection = connection->number;
}

/* Assigns calls that found no connection, in order; calls of one client connection stay
 * together. */
void placing_place_waiting(struct postgres_store *store)
{
	uint64_t now;

	if (list_empty(&store->waiting) || (now = clock_ns()) < store->hold_until)
		return;
	if (store->gone_back[0] != '\0' && !outage_connected(store)) {
		takeover_refuse(store);
		return;
	}
	while (!list_empty(&store->waiting)) {
		struct call *call = call_of(list_first(&store->waiting));
		struct pg_connection *connection =
			call->order != NULL && call->order->connection != 0
			? &store->connections[call->order->connection - 1]
			: placing_choose(store, call, now);

		if (connection == NULL || !pg_connection_usable(connection))
			connection = placing_choose(store, call, now);
		if (connection == NULL)
			return;
		list_remove(&call->link);
		store->waiting_count--;
		placing_on(connection, call);
	}
}

void placing_place(struct postgres_store *store, struct call *call)
{
	struct order *order = call->order;
	bool follows = order != NULL && order->reads > 0;
	bool held = store->unserved > 0 && clock_ns() < store->hold_until;
	struct pg_connection *connection = follows
		? (order->connection != 0 ? &store->connections[order->connection - 1] : NULL)
		: held ? NULL
		       : placing_choose(store, call, call->submitted);

	call->number = ++store->arrivals;
	if (order != NULL) {
		order->reads++;
		order->connection = 0;
	}
	if (connection != NULL) {
		placing_on(connection, call);
		return;
	}
	list_append(&store->waiting, &call->link);
	store->waiting_count++;
}
