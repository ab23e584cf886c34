#include "split.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sysexits.h>

#include "../../../protocol/value.h"
#include "../../execute.h"
#include "../outage.h"
#include "../pg_store.h"
#include "../placing.h"
#include "../pool.h"

static const uint64_t split_ms = 1000000;
enum {
	HOLD_MS = 1000,  /* longest wait for the primary to show what a standby has shown */
	SLOW_MS = 1000,  /* longest wait for a standby's turn */
	RESCUE_MS = 100, /* between two looks at the calls that wait for a primary */
	ROUGH_MS = 20    /* timers that are further away need not be exact */
};

struct split *split_new(struct postgres_store *store, struct err *err)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = PG_EVENT_READERS};
	struct store_settings settings = store->settings;
	struct split *split = calloc(1, sizeof *split);

	(void)err_exit(err, EX_OSERR, "out of memory or descriptors");
	if (split == NULL)
		return NULL;
	split->store = store;
	list_init(&split->holding);
	samples_init(&split->samples, settings.standby_lag_ms * split_ms);
	if (!sampler_init(split) || servers_init(split, err) < 0)
		goto fail;
	if (settings.connections < split->servers.count)
		settings.connections = split->servers.count;
	settings.min_connections = split->servers.count;
	split->readers = pg_store_new(store->store.ops, &settings);
	if (split->readers == NULL ||
		epoll_ctl(store->epoll, EPOLL_CTL_ADD, split->readers->epoll, &event) != 0)
		goto fail;
	split->readers->split = split;
	split->readers->reads_only = true;
	split->readers->named = store->named;
	split->readers->pooled = store->pooled;
	split->readers->session_settings = store->session_settings;
	split->readers->host_count = 0; /* no look for another primary */
	split->readers->forget_at = UINT64_MAX;
	return split;
fail:
	split_free(split);
	return NULL;
}

void split_free(struct split *split)
{
	if (split == NULL)
		return;
	if (split->readers != NULL) {
		split->readers->session_settings = NULL;
		split->readers->split = NULL;
		pg_store_free(split->readers);
	}
	sampler_free(split);
	servers_free(split);
	free(split);
}

static bool primary_lost(struct split *split, uint64_t now)
{
	if (outage_connected(split->store) && !sampler_stalled(split, now))
		split->lost_at = 0;
	else if (split->lost_at == 0)
		split->lost_at = now;
	return split->lost_at != 0;
}

/* A transaction that others have left open looks like one whose commit is not visible yet, and may
 * stay open for hours. So the wait is limited, unless a commit is known to wait for a standby. */
static bool waited_enough(
	struct split *split, const struct history *history, const struct call *call, uint64_t now)
{
	uint64_t since = list_empty(&history->held) ? now : history->held_since;

	if (call->deadline != 0 && now >= call->deadline)
		return true;
	if (now - since < HOLD_MS / 2 * split_ms)
		return false;
	split->sampler.patient = true;
	return now - since > HOLD_MS * split_ms &&
		(sampler_none_waits(split, since) || primary_lost(split, now));
}

/* The primary must show to others what standbys have shown to this client, and a standby must not
 * show what this call changes to an earlier read. */
static bool may_go(
	struct split *split, struct history *history, const struct call *call, uint64_t now)
{
	uint32_t tables = history_tables(call);

	if ((history->standby.tables & tables) != 0)
		return false;
	if (history_caught_up(history, tables, &split->sampler.now))
		return true;
	split->sampler.hurry = true;
	return waited_enough(split, history, call, now);
}

static void release_held(struct split *split, struct history *history)
{
	uint64_t now;

	if (list_empty(&history->held))
		return;
	now = clock_ns();
	while (!list_empty(&history->held)) {
		struct call *call = call_of(list_first(&history->held));

		if (!may_go(split, history, call, now))
			return;
		list_remove(&call->link);
		history->held_first -= history->held_first > 0;
		placing_place(split->store, call);
	}
	list_remove(&history->link);
}

/* first: the call is older than those that are held, but for others of this kind. */
static void to_primary(struct split *split, struct history *history, struct call *call, bool first)
{
	history_enter(&history->primary, history_tables(call));
	if ((first ? history->held_first == 0 : list_empty(&history->held)) &&
		may_go(split, history, call, clock_ns())) {
		placing_place(split->store, call);
		return;
	}
	if (list_empty(&history->held)) {
		history->held_since = clock_ns();
		list_append(&split->holding, &history->link);
	}
	history_hold(history, call, first);
}

/* The standbys have answered the call, or have failed. */
static void standby_done(struct call *call)
{
	struct standby_read *read = call->standby;
	struct split *split = read->split;
	struct history *history = read->order->history;

	/* While its answer was made, an earlier one has found no row. */
	if (call->err.kind == ERR_NONE && !split->store->closing && history_fell_before(call)) {
		read->reason = READ_PENDING;
		(void)execute_fail(call, ERR_UNAVAILABLE, "an earlier read goes to the primary");
	}
	history_leave(&history->standby, read->tables);
	if (history->standby.tables == 0)
		history->fallen = 0;
	call->order = read->order;
	call->done = read->done;
	call->standby = NULL;
	call->position = 0;
	if (call->err.kind == ERR_NONE || call->dropped || split->store->closing) {
		split->reads += call->err.kind == ERR_NONE;
		release_held(split, history); /* before done, which may free it */
		call->done(call);
		return;
	}
	split->primary_reads[read->reason]++;
	history_fall(history, read->tables);
	execute_restart(call);
	call->attempts = 0;
	call->route = ROUTE_TOGETHER;
	to_primary(split, history, call, true);
	release_held(split, history);
}

static void give_to_primary(struct call *call)
{
	if (call->err.kind == ERR_NONE)
		(void)execute_fail(call, ERR_UNAVAILABLE, "no standby could answer");
	pg_store_finish(call);
}

static void to_standby(struct split *split, struct history *history, struct call *call,
	struct pg_connection *connection)
{
	struct postgres_store *readers = split->readers;

	call->order = &history->order;
	call->done = standby_done;
	call->attempts = TRIES_MAX; /* the primary is the next one to try */
	call->number = ++readers->arrivals;
	history_enter(&history->standby, call->standby->tables);
	history->server = servers_place(&split->servers, connection);
	history->order.reads++;
	placing_on(connection, call);
}

/* The position that is young enough; false: none is known. Without a primary, time stands still for
 * standby_outage_ms. */
static bool young_position(const struct split *split, uint64_t now, uint64_t *log)
{
	const struct sample *last = samples_last(&split->samples), *young;
	uint64_t lag = split->store->settings.standby_lag_ms * split_ms;

	if (last == NULL)
		return false;
	if (split->lost_at != 0)
		now = last->sent;
	young = samples_since(&split->samples, now > lag ? now - lag : 0);
	*log = young != NULL ? young->log : 0;
	return young != NULL;
}

/* Returns READ_REASONS if a standby takes the call. */
static enum read_reason try_standbys(
	struct split *split, struct history *history, struct call *call, uint64_t now)
{
	uint32_t tables = history_tables(call);
	uint64_t log = split->floor, young, outage = split->store->settings.standby_outage_ms;
	struct pg_connection *connection;
	struct standby_read *read;
	enum read_reason reason;

	if (split->lost_at != 0 && now - split->lost_at > outage * split_ms)
		return READ_LOST;
	if ((history->primary.tables & tables) != 0 || !history_position(history, tables, &log))
		return READ_PENDING;
	if (!young_position(split, now, &young))
		return READ_OLD;
	connection = servers_choose(split, history, young, &reason);
	if (connection == NULL)
		return reason;
	read = arena_alloc(&call->arena, sizeof *read);
	if (read == NULL)
		return READ_LOST;
	*read = (struct standby_read){.split = split,
		.order = call->order,
		.done = call->done,
		.tables = tables,
		.young = young,
		.reason = READ_LOST};
	if (history->shown_log > log &&
		(history->instance == 0 ||
			history->instance != servers_reader(&split->servers, connection)->instance))
		log = history->shown_log;
	/* What the reads before it must see, so that it is not answered where they are not. */
	if (history->standby.tables != 0 && history->asked_log > log)
		log = history->asked_log;
	call->position = log > young ? log : young;
	history->asked_log = call->position;
	call->standby = read;
	to_standby(split, history, call, connection);
	return READ_REASONS;
}

void split_place(struct split *split, struct call *call)
{
	struct history *history = history_of(split, call);
	uint64_t now = call->submitted != 0 ? call->submitted : clock_ns();
	enum read_reason reason;

	call->position = 0;
	call->standby = NULL;
	if (history == NULL) {
		placing_place(split->store, call);
		return;
	}
	if (call->method->causal &&
		(primary_lost(split, now) ||
			split->store->settings.read_from == READ_FROM_STANDBY)) {
		reason = try_standbys(split, history, call, now);
		if (reason == READ_REASONS)
			return;
		split->primary_reads[reason]++;
	}
	to_primary(split, history, call, false);
}

bool split_may_send(
	struct split *split, const struct pg_connection *connection, const struct call *call)
{
	return !history_fell_before(call) &&
		(call->standby->until == 0 ||
			servers_reader(&split->servers, connection)->replayed >= call->position);
}

bool split_covers(
	const struct split *split, const struct pg_connection *connection, const struct call *call)
{
	const struct proof *proof = &connection->front->proof;

	return proof->standby && proof->timeline == split->store->newest.timeline &&
		proof->replayed >= call->position && !history_fell_before(call);
}

/* The standby is behind the read's position. Returns whether the read waits for it. */
static bool waits(const struct split *split, const struct pg_connection *connection,
	const struct call *call, uint64_t now)
{
	const struct proof *proof = &connection->front->proof;
	struct standby_read *read = call->standby;

	if (history_fell_before(call) || !servers_follows(split, connection)) {
		read->reason = servers_follows(split, connection) ? READ_PENDING : READ_LOST;
		return false;
	}
	read->reason = proof->replayed < read->young ? READ_OLD : READ_BEHIND;
	if (read->until == 0)
		read->until = now + split->store->settings.standby_wait_ms * split_ms;
	return read->reason == READ_BEHIND && now < read->until;
}

static void take_shown(
	struct split *split, const struct pg_connection *connection, struct call *call)
{
	const struct proof *proof = &connection->front->proof;
	const struct standby_session *reader = servers_reader(&split->servers, connection);

	history_shown(call->standby->order->history, call->standby->tables, reader->instance,
		proof->received, &proof->snapshot);
	split->servers.list[servers_place(&split->servers, connection)].reads++;
	/* If it has found no row, the primary may know one. */
	call->standby->reason = READ_BEHIND;
}

void split_batch_ended(struct split *split, struct pg_connection *connection, struct list *calls,
	struct list *again)
{
	uint64_t now = clock_ns();

	servers_told(split, connection);
	list_for_each_safe (node, calls) {
		struct call *call = call_of(node);
		bool covered;

		if (call->route == ROUTE_DROPPED)
			continue; /* it runs again when there is memory */
		covered = call->route == ROUTE_KEPT || split_covers(split, connection, call);
		if (covered)
			take_shown(split, connection, call);
		if (covered && call->err.kind == ERR_NONE)
			continue;
		list_remove(&call->link);
		if (!covered && waits(split, connection, call, now)) {
			execute_restart(call);
			call->route = ROUTE_TOGETHER;
			list_append(again, &call->link);
		} else {
			give_to_primary(call);
		}
	}
}

/* Reads that no connection has any more. */
static void give_all_to_primary(struct split *split)
{
	struct postgres_store *readers = split->readers;

	while (!list_empty(&readers->waiting)) {
		struct call *call = call_of(list_first(&readers->waiting));

		list_remove(&call->link);
		readers->waiting_count--;
		give_to_primary(call);
	}
}

/* Whether a read that has not been sent has waited long enough for its standby. */
static bool gives_up(const struct call *call, uint64_t now)
{
	if (history_fell_before(call)) {
		call->standby->reason = READ_PENDING;
		return true;
	}
	if (call->standby->until != 0)
		return now >= call->standby->until;
	if (call->submitted == 0 || now < call->submitted + SLOW_MS * split_ms)
		return false;
	call->standby->reason = READ_SLOW;
	return true;
}

static void give_up_waiting(struct split *split, uint64_t now)
{
	split->fallen = false;
	for (unsigned i = 0; i < split->readers->connection_limit; i++) {
		struct pg_connection *connection = &split->readers->connections[i];

		list_for_each_safe (node, &connection->waiting) {
			struct call *call = call_of(node);

			if (!gives_up(call, now))
				continue;
			list_remove(node);
			connection->waiting_count--;
			give_to_primary(call);
		}
	}
}

static bool rescued(const struct call *call)
{
	return call->order != NULL && call->order->history != NULL && call->method != NULL &&
		call->method->causal;
}

/* Calls that wait for a primary, or were on their way to it. One of a client counts as unfinished
 * for those behind it only when it goes on waiting. */
static void rescue(struct split *split, uint64_t now)
{
	struct postgres_store *store = split->store;

	if (!primary_lost(split, now) || now < split->rescued_at + RESCUE_MS * split_ms)
		return;
	split->rescued_at = now;
	list_for_each (node, &store->waiting) {
		struct call *call = call_of(node);

		if (rescued(call))
			history_leave(&call->order->history->primary, history_tables(call));
	}
	list_for_each_safe (node, &store->waiting) {
		struct call *call = call_of(node);
		struct order *order = call->order;

		if (!rescued(call))
			continue;
		list_remove(node);
		order->reads--;
		if (try_standbys(split, order->history, call, now) == READ_REASONS) {
			store->waiting_count--;
			continue;
		}
		history_enter(&order->history->primary, history_tables(call));
		order->reads++;
		list_append(node_next, node);
	}
}

static void send_reads(struct split *split)
{
	if (split->fallen)
		give_up_waiting(split, clock_ns());
	give_all_to_primary(split);
	for (unsigned i = 0; i < split->readers->connection_limit; i++)
		while (pg_connection_send(split->readers, &split->readers->connections[i]))
			;
}

void split_flush(struct split *split)
{
	send_reads(split);
	sampler_step(split, clock_ns());
}

void split_step(struct split *split)
{
	uint64_t now = clock_ns();

	rescue(split, now);
	give_up_waiting(split, now);
	servers_step(split, now);
	split_sampled(split);
	split_flush(split);
}

void split_sampled(struct split *split)
{
	list_for_each_safe (node, &split->holding)
		release_held(split, list_entry(node, struct history, link));
}

void split_end(struct split *split, void (*end)(struct call *))
{
	list_for_each_safe (node, &split->holding) {
		struct history *history = list_entry(node, struct history, link);

		list_remove(node);
		while (!list_empty(&history->held)) {
			struct call *call = call_of(list_first(&history->held));
			bool last = history->held.next->next == &history->held;

			list_remove(&call->link);
			end(call); /* which may free the history behind the last one */
			if (last)
				break;
		}
	}
}

uint64_t split_next_due(const struct split *split)
{
	uint64_t now = clock_ns(), pool = pool_next_due(split->readers),
		 due = clock_earlier(sampler_next_due(split, now), servers_next_due(split, now));

	if (pool != 0)
		due = clock_earlier(due, pool);
	list_for_each (node, &split->holding)
		due = clock_earlier(due,
			list_entry(node, struct history, link)->held_since +
				(HOLD_MS + 1) * split_ms);
	return due > now + ROUGH_MS * split_ms
		? (due / (ROUGH_MS * split_ms) + 1) * (ROUGH_MS * split_ms)
		: due;
}

void split_stats(const struct split *split, struct store_stats *out)
{
	out->standby_reads = split->reads;
	for (unsigned i = 0; i < READ_REASONS; i++)
		out->primary_reads[i] = split->primary_reads[i];
	out->outage_ns = split->lost_at != 0 ? clock_ns() - split->lost_at : 0;
}
