/* The SQLite store as the daemon sees it.
 *
 * Threads: the loop's (everything in this file; short look-ups run here on a connection of their
 * own), one writer, some readers (workers.c). Calls travel through the two queues in batches, one
 * lock and one signal a turn, and come back through `done`. Order: see struct order; a call of a
 * connection follows its unfinished writes to the writer, and a write waits for its unfinished
 * reads. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "../../protocol/json/json.h"
#include "../execute.h"
#include "files/backup.h"
#include "migrate.h"
#include "open.h"
#include "sqlite.h"

/* Steps of SQLite's virtual machine that a look-up on the loop may take: some hundred microseconds
 * at most. SQLite counts them over all runs of a statement and asks at every thousandth, so they
 * are counted anew for each run here. A step takes as long as its value is, so bytes are bounded,
 * too. */
enum { LOOP_STEPS = 1000, LOOP_ASKED_MAX = 5, LOOP_BYTES = 32 * 1024 };

static struct sqlite_store *sqlite_self(struct store *store)
{
	return (struct sqlite_store *)(void *)store;
}

void sqlite_finish(struct sqlite_store *store, struct list *calls)
{
	bool first;

	if (list_empty(calls))
		return;
	pthread_mutex_lock(&store->done_lock);
	first = list_empty(&store->done);
	list_splice(&store->done, calls);
	pthread_mutex_unlock(&store->done_lock);
	if (first)
		(void)eventfd_write(store->done_fd, 1);
}

/* Ends the loop's read transaction, so that the next look-up sees what was committed meanwhile. */
static void end_loop_read(struct sqlite_store *store)
{
	if (!store->loop_reading)
		return;
	store->loop_reading = false;
	store->loop_asked = 0;
	(void)session_step(store->loop.commit);
}

/* A short look-up right here. False: it must go to a reader (too long, a lock, no connection). */
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
	result = session_run(&store->loop, call);
	if (result == RUN_DONE) {
		if (call->answer.length > store->loop_bytes_max)
			store->loop_bytes_max = call->answer.length;
		return true;
	}
	call->order->large = true;
	execute_restart(call);
	end_loop_read(store);
	return false;
}

/* done() may submit further calls, so it never runs inside submit. */
static void sqlite_complete(struct sqlite_store *store, struct call *call)
{
	list_append(&store->completed, &call->link);
}

static void sqlite_deliver(struct sqlite_store *store)
{
	while (!list_empty(&store->completed)) {
		struct call *call = call_of(list_first(&store->completed));

		list_remove(&call->link);
		call->done(call);
	}
}

static void to_writer(struct sqlite_store *store, struct call *call)
{
	call->route = ROUTE_WRITER;
	if (call->order != NULL)
		call->order->writes++;
	list_append(&store->to_writer, &call->link);
	store->to_writer_count++;
}

static void to_reader(struct sqlite_store *store, struct call *call)
{
	if (store->memory) {
		to_writer(store, call);
		return;
	}
	call->route = ROUTE_READER;
	if (call->order != NULL)
		call->order->reads++;
	list_append(&store->to_readers, &call->link);
	store->to_readers_count++;
}

static bool is_write(const struct call *call)
{
	return call->method->write;
}

/* Sends a call on its way; false when those before it on its connection must end first. */
static bool sqlite_dispatch(struct sqlite_store *store, struct call *call)
{
	if (atomic_load_explicit(&store->ending, memory_order_relaxed)) {
		workers_given_up(call);
		sqlite_complete(store, call);
	} else if (is_write(call)) {
		if (call->order->reads > 0)
			return false;
		to_writer(store, call);
	} else if (call->order->writes > 0) {
		to_writer(store, call);
	} else if (call->method->short_read && !store->memory && !call->order->large &&
		run_on_loop(store, call)) {
		call->route = ROUTE_NONE;
		sqlite_complete(store, call);
	} else {
		to_reader(store, call);
	}
	return true;
}

static void lost(struct sqlite_store *store, struct call *call)
{
	execute_fail(call, ERR_STORAGE,
		"the database file was removed or replaced; nothing of the call was stored");
	sqlite_complete(store, call);
}

static void sqlite_submit(struct store *base, struct call *call)
{
	struct sqlite_store *store = sqlite_self(base);

	call->route = ROUTE_NONE;
	call->attempts = 0;
	list_init(&call->link);
	if (atomic_load_explicit(&store->lost, memory_order_relaxed)) {
		lost(store, call);
		return;
	}
	if (call->method->impl != IMPL_MIGRATE && execute_prepare(call, store->settings.seal) < 0) {
		sqlite_complete(store, call);
		return;
	}
	if (!list_empty(&call->order->pending) || !sqlite_dispatch(store, call))
		list_append(&call->order->pending, &call->link);
}

void sqlite_flush(struct store *base)
{
	struct sqlite_store *store = sqlite_self(base);

	end_loop_read(store);
	if (store->to_writer_count > 0) {
		queue_push(&store->writes, &store->to_writer, store->to_writer_count);
		store->to_writer_count = 0;
	}
	if (store->to_readers_count > 0) {
		queue_push(&store->reads, &store->to_readers, store->to_readers_count);
		store->to_readers_count = 0;
	}
	sqlite_deliver(store);
}

static int sqlite_fd(struct store *base)
{
	return sqlite_self(base)->done_fd;
}

/* Lets the calls go on that waited for those that have ended. */
static void unpark(struct sqlite_store *store, struct order *order)
{
	while (!list_empty(&order->pending)) {
		struct list *node = list_first(&order->pending);

		list_remove(node); /* the node is then in the list of where the call goes */
		if (!execute_admit(call_of(node))) {
			sqlite_complete(store, call_of(node));
			continue;
		}
		if (!sqlite_dispatch(store, call_of(node))) {
			node->next = order->pending.next;
			node->prev = &order->pending;
			order->pending.next->prev = node;
			order->pending.next = node;
			return;
		}
	}
}

void sqlite_process(struct store *base)
{
	struct sqlite_store *store = sqlite_self(base);
	struct list done;
	eventfd_t count;

	(void)eventfd_read(store->done_fd, &count);
	/* A connection that is told of its write must not read from before it. */
	end_loop_read(store);
	list_init(&done);
	pthread_mutex_lock(&store->done_lock);
	list_splice(&done, &store->done);
	pthread_mutex_unlock(&store->done_lock);
	while (!list_empty(&done)) {
		struct call *call = call_of(list_first(&done));

		list_remove(&call->link);
		if (call->order != NULL) {
			if (call->route == ROUTE_WRITER)
				call->order->writes--;
			else
				call->order->reads--;
			if (call->route == ROUTE_READER && call->method->short_read)
				call->order->large = call->answer.length > LOOP_BYTES;
			/* Before done: it may be the connection's last call, and the order goes
			 * with the connection. */
			if (!list_empty(&call->order->pending))
				unpark(store, call->order);
		}
		if (atomic_load_explicit(&store->lost, memory_order_relaxed) &&
			call->method != NULL && call->err.kind == ERR_NONE) {
			execute_fail(call, ERR_STORAGE,
				"the database file was removed or replaced while the call ran");
			call->err.outcome = is_write(call) ? OUTCOME_UNKNOWN : OUTCOME_UNSET;
		}
		call->done(call);
	}
	sqlite_deliver(store);
}

static bool runs_late(const struct worker *worker, uint64_t now)
{
	uint64_t deadline = atomic_load_explicit(&worker->deadline, memory_order_acquire);

	return deadline != 0 && deadline < now;
}

/* A call whose time is over while it runs is interrupted; the thread answers it. It may be over by
 * then: what comes next is hit instead. */
static void interrupt_late(struct worker *worker, uint64_t now)
{
	if (!runs_late(worker, now))
		return;
	pthread_mutex_lock(&worker->guard);
	if (runs_late(worker, now))
		sqlite3_interrupt(worker->session.db);
	pthread_mutex_unlock(&worker->guard);
}

static int sqlite_tick(struct store *base, struct err *err)
{
	struct sqlite_store *store = sqlite_self(base);
	uint64_t now = clock_ns();

	condition_tell_recovery(store);
	interrupt_late(&store->writer, now);
	for (unsigned i = 0; i < store->reader_count; i++)
		interrupt_late(&store->readers[i], now);
	if (atomic_load(&store->unsynced))
		return err_exit(err, EX_IOERR,
			"%s: what was moved there from the log may not have reached the disk; the log still has it, and the "
			"next start moves it again",
			store->path);
	return store->memory ? 0 : watch_look(store, err);
}

static uint64_t sqlite_next_due(struct store *base)
{
	(void)base;
	return 0; /* tick is enough: deadlines are seconds */
}

static unsigned queue_length(struct queue *queue)
{
	unsigned length;

	pthread_mutex_lock(&queue->lock);
	length = queue->length;
	pthread_mutex_unlock(&queue->lock);
	return length;
}

static uint64_t stall_of(const struct worker *worker, uint64_t now)
{
	uint64_t moved = atomic_load_explicit(&worker->moved, memory_order_relaxed);

	return moved != 0 && moved < now ? now - moved : 0;
}

static uint64_t longest_stall(const struct sqlite_store *store)
{
	uint64_t now = clock_ns(), longest = stall_of(&store->writer, now),
		 checkpoint_worker = stall_of(&store->checkpoint_worker, now);

	if (checkpoint_worker > longest)
		longest = checkpoint_worker;

	for (unsigned i = 0; i < store->reader_count; i++) {
		uint64_t stall = stall_of(&store->readers[i], now);

		if (stall > longest)
			longest = stall;
	}
	return longest;
}

static void sqlite_stats(struct store *base, struct store_stats *out)
{
	struct sqlite_store *store = sqlite_self(base);

	*out = (struct store_stats){0};
	out->running = atomic_load(&store->writer.running);
	out->connections_max = store->reader_count + 1;
	out->connections_active = atomic_load(&store->writer.running) > 0;
	for (unsigned i = 0; i < store->reader_count; i++) {
		unsigned running = atomic_load(&store->readers[i].running);

		out->running += running;
		out->connections_active += running > 0;
	}
	out->connections_idle = out->connections_max - out->connections_active;
	out->queued = queue_length(&store->writes) + queue_length(&store->reads);
	out->transactions = atomic_load(&store->transactions);
	out->batched_calls = atomic_load(&store->batched);
	out->batch_max = atomic_load(&store->batch_max);
	out->retries = atomic_load(&store->retries);
	out->reconnects = atomic_load(&store->reconnects);
	out->timeouts = atomic_load(&store->timeouts);
	out->wait_ns_total = atomic_load(&store->wait_ns);
	out->wait_count = atomic_load(&store->waits);
	out->wal_bytes = atomic_load(&store->wal_bytes);
	out->checkpoints = atomic_load(&store->checkpoints);
	out->checkpoint_busy = atomic_load(&store->checkpoint_busy);
	out->seals = seal_count(store->settings.seal);
	out->opens = seal_opened(store->settings.seal);
	out->loop_bytes_max = store->loop_bytes_max;
	out->key_seals = seal_count_total(store->settings.seal);
	out->stalled_ns = longest_stall(store);
	pthread_mutex_lock(&store->error_lock);
	memcpy(out->last_error, store->last_error, sizeof out->last_error);
	out->last_error_at = store->last_error_at;
	pthread_mutex_unlock(&store->error_lock);
}

static void sqlite_version(struct store *base, struct store_version *out)
{
	struct sqlite_store *store = sqlite_self(base);

	out->backend = "sqlite";
	out->path = store->path;
	out->warning = *store->warning != '\0' ? store->warning : NULL;
	(void)snprintf(out->engine, sizeof out->engine, "%s", sqlite3_libversion());
	out->schema = atomic_load(&store->schema);
}

static void sqlite_ping(struct store *base, struct call *probe)
{
	struct sqlite_store *store = sqlite_self(base);

	list_init(&probe->link);
	probe->order = NULL;
	probe->err.kind = ERR_NONE;
	to_reader(store, probe);
}

static int sqlite_backup(
	struct store *base, const char *path, bool force, bool *began, struct err *err)
{
	struct sqlite_store *store = sqlite_self(base);
	struct backup *next;

	if (store->memory)
		return err_set(
			err, ERR_STORAGE, "the database is in memory: there is no file to copy");
	*began = !backup_running(store->backup);
	if (!*began)
		return 0;
	if (backup_start(&next, &store->settings, store->path, path, force,
		    backup_number(store->backup) + 1, err) < 0)
		return -1;
	backup_free(store->backup);
	store->backup = next;
	return 0;
}

static void backup_state(struct store *base, struct buffer *out)
{
	backup_describe(sqlite_self(base)->backup, out);
}

const struct store_ops sqlite_ops = {
	.name = "sqlite",
	.submit = sqlite_submit,
	.flush = sqlite_flush,
	.fd = sqlite_fd,
	.process = sqlite_process,
	.tick = sqlite_tick,
	.next_due = sqlite_next_due,
	.stats = sqlite_stats,
	.version = sqlite_version,
	.ping = sqlite_ping,
	.health = condition_health,
	.backup = sqlite_backup,
	.backup_state = backup_state,
	.close = close_sqlite,
};

static int too_long(void *argument)
{
	struct sqlite_store *store = argument;

	return ++store->loop_asked > LOOP_ASKED_MAX;
}

void sqlite_bound_loop(struct sqlite_store *store)
{
	sqlite3_busy_timeout(store->loop.db, 0);
	session_bound(&store->loop, LOOP_BYTES);
	sqlite3_progress_handler(store->loop.db, LOOP_STEPS, too_long, store);
}

void sqlite_counted(struct sqlite_store *store, uint64_t added, uint64_t stored, bool committed)
{
	if (!committed) {
		seal_count_failed(store->settings.seal);
		return;
	}
	seal_count_stored(store->settings.seal, added, stored);
	store_warn_of_count(&store->settings, stored - added, stored);
}

/* Runs on the writer's thread, outside any transaction. */
int sqlite_migrate(struct sqlite_store *store, struct session *session, struct call *call)
{
	struct buffer applied = {0};
	struct err err;

	buffer_byte(&applied, '[');
	if (migrate_apply(session, &applied, &(struct migrate_watch){.log = store->settings.log},
		    &err) < 0) {
		buffer_free(&applied);
		return execute_fail(call, ERR_STORAGE, "%s", err.message);
	}
	buffer_byte(&applied, ']');
	int64_t schema = migrate_version(session, &err);
	atomic_store(&store->schema, schema);
	buffer_text(&call->answer, "{\"schema_version\":");
	json_write_integer(&call->answer, schema);
	buffer_text(&call->answer, ",\"applied\":");
	buffer_join(&call->answer, &applied);
	buffer_byte(&call->answer, '}');
	buffer_free(&applied);
	return 0;
}
