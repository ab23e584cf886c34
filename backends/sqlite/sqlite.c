/* The SQLite store as the daemon uses it.
 *
 * Threads: the loop's (this file and loop.c; short look-ups run here on their own connection), one
 * writer, some readers, the checkpointer (threads/). Calls travel through two queues in batches,
 * with one lock and one signal per loop iteration, and return as results.
 *
 * Order (see struct order): a call follows its connection's unfinished writes to the writer. A
 * write waits for its connection's unfinished reads. */
#include "sqlite.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "../../protocol/sqlite_url.h"
#include "../../protocol/value.h"
#include "../store.h"
#include "close.h"
#include "condition.h"
#include "files/backup.h"
#include "files/watch.h"
#include "loop.h"
#include "open.h"
#include "sqlite_store.h"
#include "verify.h"

static int sqlite_fd(struct store *base)
{
	return sqlite_store_of(base)->done_fd;
}

static bool runs_late(const struct worker *worker, uint64_t now)
{
	uint64_t deadline = atomic_load_explicit(&worker->deadline, memory_order_acquire);

	return deadline != 0 && deadline < now;
}

/* Interrupts a running call whose time has run out; its thread answers it. If it has just ended,
 * the interrupt hits the next statement. */
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
	struct sqlite_store *store = sqlite_store_of(base);
	uint64_t now = clock_ns();

	condition_log_recovery(store);
	rollup_tick(store);
	large_expire(store);
	if (now >= atomic_load_explicit(&store->forget_at, memory_order_relaxed))
		queue_nudge(&store->writes);
	interrupt_late(&store->writer, now);
	for (unsigned i = 0; i < store->reader_count; i++)
		interrupt_late(&store->readers[i], now);
	if (atomic_load(&store->unsynced))
		return err_exit(err, EX_IOERR,
			"%s: pages moved there from the log may not have reached the disk; "
			"the log still has them, and the "
			"next start moves them again",
			store->path);
	return store->memory ? 0 : watch_look(store, err);
}

static uint64_t sqlite_next_due(struct store *base)
{
	(void)base;
	return 0; /* ticks are frequent enough: deadlines are seconds */
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
	struct sqlite_store *store = sqlite_store_of(base);

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
	out->queued = queue_length(&store->writes) + queue_length(&store->reads) +
		atomic_load(&store->large.waiting);
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
	struct sqlite_store *store = sqlite_store_of(base);

	out->backend = "sqlite";
	out->path = store->path;
	out->warning = *store->warning != '\0' ? store->warning : NULL;
	(void)snprintf(out->engine, sizeof out->engine, "%s", sqlite3_libversion());
	out->schema = atomic_load(&store->schema);
}

static int sqlite_backup(
	struct store *base, const char *path, bool force, bool *began, struct err *err)
{
	struct sqlite_store *store = sqlite_store_of(base);
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
	backup_describe(sqlite_store_of(base)->backup, out);
}

static bool sqlite_memory(struct store *base, size_t free)
{
	large_memory(sqlite_store_of(base), free);
	return false;
}

static void sqlite_pause(struct store *base, bool paused)
{
	rollup_pause(sqlite_store_of(base), paused);
}

static const struct store_ops sqlite_ops = {
	.name = "sqlite",
	.submit = loop_submit,
	.submit_reads = true,
	.flush = loop_flush,
	.fd = sqlite_fd,
	.process = loop_process,
	.tick = sqlite_tick,
	.next_due = sqlite_next_due,
	.stats = sqlite_stats,
	.version = sqlite_version,
	.ping = loop_ping,
	.memory = sqlite_memory,
	.pause = sqlite_pause,
	.health = condition_health,
	.backup = sqlite_backup,
	.backup_state = backup_state,
	.close = close_store,
};

static int sqlite_open(struct store **ret, const struct store_settings *settings, struct err *err)
{
	struct sqlite_store *store = sqlite_store_new(&sqlite_ops, settings);

	/* SQLite's memory statistics, which the daemon never reads, lock all threads at each
	 * allocation. Settable only before SQLite's first use. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (store == NULL)
		return err_exit(err, EX_OSERR, "out of memory or descriptors");
	if (open_bring_up(store, err) < 0) {
		sqlite_store_free(store);
		return -1;
	}
	if (open_threads(store, err) < 0) {
		close_store(&store->store, 0);
		return -1;
	}
	*ret = &store->store;
	return 0;
}

static int sqlite_check_url(const char *url, struct err *err)
{
	struct sqlite_url parsed;
	int result = sqlite_url_parse(url, &parsed, err);

	sqlite_url_free(&parsed);
	return result;
}

const struct backend sqlite_backend = {
	.id = BACKEND_SQLITE,
	.name = "sqlite",
	.takes_url = sqlite_url_is_one,
	.checks_control = true,
	.check_url = sqlite_check_url,
	.open = sqlite_open,
	.verify = verify_sqlite,
};
