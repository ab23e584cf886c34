#include "loop.h"

#include <stdlib.h>

#include "../execute.h"
#include "sqlite_store.h"
#include "threads/large.h"
#include "threads/queue.h"
#include "threads/results.h"
#include "threads/worker.h"

/* Max steps of SQLite's virtual machine for a look-up on the loop: a few hundred microseconds.
 * SQLite counts them over all runs of a statement and reports every thousandth, so each run here
 * counts on its own. A step's time grows with the size of its value, so bytes are limited as
 * well. */
enum { LOOP_STEPS = 1000, LOOP_ASKED_MAX = 5, LOOP_BYTES = 32 * 1024 };

/* Ends the loop's read transaction: the next look-up sees later commits. */
static void end_loop_read(struct sqlite_store *store)
{
	if (!store->loop_reading)
		return;
	store->loop_reading = false;
	store->loop_asked = 0;
	(void)session_step(store->loop.commit);
}

/* Runs a short look-up here. False: it must go to a reader (too long, a lock, no connection). */
static bool run_on_loop(struct sqlite_store *store, struct call *call)
{
	enum run_result result;

	if (store->loop.db == NULL || atomic_load_explicit(&store->broken, memory_order_relaxed))
		return false;
	store->loop_asked = 0;
	if (!store->loop_reading) {
		if (session_step(store->loop.begin) != SQLITE_OK)
			return false;
		store->loop_reading = true;
	}
	result = call->method->fast != 0 ? session_run_fast(&store->loop, call)
					 : session_run(&store->loop, call);
	if (result == RUN_DONE && call->method->fast != 0 && call->rows == 0 &&
		call->err.kind == ERR_NONE) {
		execute_restart(call);
		return false;
	}
	if (result == RUN_DONE) {
		if (call->answer.length > store->loop_bytes_max)
			store->loop_bytes_max = call->answer.length;
		return true;
	}
	if (!call->method->touches)
		call->order->large = true;
	execute_restart(call);
	end_loop_read(store);
	return false;
}

static void to_writer(struct sqlite_store *store, struct call *call)
{
	call->route = ROUTE_WRITER;
	if (call->order != NULL)
		call->order->writes++;
	list_append(&store->to_writer, &call->link);
	store->to_writer_count++;
}

/* large: the last answer of the connection was. */
static void to_reader(struct sqlite_store *store, struct call *call, bool large)
{
	if (store->memory) {
		to_writer(store, call);
		return;
	}
	call->route = large ? ROUTE_READER_LARGE : ROUTE_READER;
	if (call->order != NULL)
		call->order->reads++;
	list_append(&store->to_readers, &call->link);
	store->to_readers_count++;
}

static bool is_write(const struct call *call)
{
	return method_may_write(call->method);
}

/* A call that must not run here: the last answer of its connection was large. One that may write
 * has nowhere else to read. */
static bool tries_loop(const struct sqlite_store *store, const struct call *call)
{
	return call->method->short_read && !store->memory && call->order->writes == 0 &&
		(call->method->touches ? call->method->fast != 0 : !call->order->large);
}

/* Routes a call; false when it must wait for earlier calls of its connection. */
static bool loop_dispatch(struct sqlite_store *store, struct call *call)
{
	bool large = call->method->short_read ? call->order->large : call->order->large_list;

	if (atomic_load_explicit(&store->ending, memory_order_relaxed)) {
		worker_given_up(call);
		list_append(&store->completed, &call->link);
	} else if (tries_loop(store, call) && run_on_loop(store, call)) {
		call->route = ROUTE_NONE;
		list_append(&store->completed, &call->link);
	} else if (is_write(call)) {
		if (call->order->reads > 0)
			return false;
		to_writer(store, call);
	} else if (call->order->writes > 0) {
		to_writer(store, call);
	} else {
		to_reader(store, call, large);
	}
	return true;
}

static void lost(struct sqlite_store *store, struct call *call)
{
	execute_fail(call, ERR_STORAGE,
		"the database file was removed or replaced; nothing of the call was stored");
	list_append(&store->completed, &call->link);
}

void loop_submit(struct store *base, struct call *call)
{
	struct sqlite_store *store = sqlite_store_of(base);

	call->route = ROUTE_NONE;
	call->attempts = 0;
	list_init(&call->link);
	if (atomic_load_explicit(&store->lost, memory_order_relaxed)) {
		lost(store, call);
		return;
	}
	if (call->method->impl != IMPL_MIGRATE && execute_prepare(call, store->settings.seal) < 0) {
		list_append(&store->completed, &call->link);
		return;
	}
	if (!list_empty(&call->order->pending) || !loop_dispatch(store, call))
		list_append(&call->order->pending, &call->link);
}

void loop_flush(struct store *base)
{
	struct sqlite_store *store = sqlite_store_of(base);

	end_loop_read(store);
	if (store->to_writer_count > 0) {
		queue_push(&store->writes, &store->to_writer, store->to_writer_count);
		store->to_writer_count = 0;
	}
	if (store->to_readers_count > 0) {
		queue_push(&store->reads, &store->to_readers, store->to_readers_count);
		store->to_readers_count = 0;
	}
	call_deliver(&store->completed);
}

/* Releases calls that waited for those that have ended. */
static void resume_pending(struct sqlite_store *store, struct order *order)
{
	while (!list_empty(&order->pending)) {
		struct list *node = list_first(&order->pending);

		list_remove(node); /* loop_dispatch puts it into the list of its destination */
		if (!execute_admit(call_of(node))) {
			list_append(&store->completed, node);
			continue;
		}
		if (!loop_dispatch(store, call_of(node))) {
			node->next = order->pending.next;
			node->prev = &order->pending;
			order->pending.next->prev = node;
			order->pending.next = node;
			return;
		}
	}
}

/* What the connection's next answer will probably be. */
static void note_length(struct call *call)
{
	if (call->route == ROUTE_WRITER)
		return;
	if (call->method->short_read)
		call->order->large = call->answer.length > LOOP_BYTES;
	else
		call->order->large_list = call->answer.length > STORE_LARGE_ANSWER;
}

void loop_process(struct store *base)
{
	struct sqlite_store *store = sqlite_store_of(base);
	struct list done;

	/* After the answer to a write, the loop's snapshot must not predate it. */
	end_loop_read(store);
	list_init(&done);
	results_take(store, &done);
	while (!list_empty(&done)) {
		struct call *call = call_of(list_first(&done));

		list_remove(&call->link);
		if (call->order != NULL) {
			if (call->route == ROUTE_WRITER)
				call->order->writes--;
			else
				call->order->reads--;
			if (call->route == ROUTE_LARGE)
				large_received(store, call);
			note_length(call);
			/* Before done: the call may be the connection's last one, and `order` is
			 * freed with the connection. */
			if (!list_empty(&call->order->pending))
				resume_pending(store, call->order);
		}
		if (atomic_load_explicit(&store->lost, memory_order_relaxed) &&
			call->method != NULL && call->err.kind == ERR_NONE) {
			execute_fail(call, ERR_STORAGE,
				"the database file was removed or replaced while the call ran");
			call->err.outcome = is_write(call) ? OUTCOME_UNKNOWN : OUTCOME_UNSET;
		}
		call->done(call);
	}
	call_deliver(&store->completed);
}

static int too_long(void *argument)
{
	struct sqlite_store *store = argument;

	return ++store->loop_asked > LOOP_ASKED_MAX;
}

void loop_bound(struct sqlite_store *store)
{
	sqlite3_busy_timeout(store->loop.db, 0);
	session_bound(&store->loop, LOOP_BYTES);
	sqlite3_progress_handler(store->loop.db, LOOP_STEPS, too_long, store);
}

void loop_ping(struct store *base, struct call *probe)
{
	struct sqlite_store *store = sqlite_store_of(base);

	list_init(&probe->link);
	probe->order = NULL;
	probe->err.kind = ERR_NONE;
	to_reader(store, probe, false);
}
