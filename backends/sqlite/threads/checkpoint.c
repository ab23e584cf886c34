/* Checkpoints. A thread moves most of the log's pages into the database while the writer continues.
 * The writer moves the few later pages between two transactions and so ends the log, which then
 * restarts.
 *
 * One complete checkpoint by the writer alone would delay all writes while the disk writes
 * thousands of pages.
 *
 * A pass beside the writer never ends the log. Its anchor holds a read transaction, which prevents
 * the writer and any other program from restarting the log. So no checkpoint runs while the log
 * restarts, a race in which SQLite before 3.51.3 could lose pages. */
#include "checkpoint.h"

#include <unistd.h>

#include "../../../protocol/state.h"
#include "../condition.h"
#include "../files/belong.h"
#include "../sqlite_store.h"
#include "../files/vfs.h"
#include "worker.h"

enum { WAL_LARGE = 64 << 20, PASSES_MAX = 3, FEW = 16, PATIENCE = 4 };

static const char *const checkpointer_names[CHECKPOINTER_STATES] = {
	"idle", "running", "stopping", "stopped"};

static const uint32_t checkpointer_changes[CHECKPOINTER_STATES] = {
	[CHECKPOINTER_IDLE] = STATE(CHECKPOINTER_RUNNING) | STATE(CHECKPOINTER_STOPPED),
	[CHECKPOINTER_RUNNING] = STATE(CHECKPOINTER_IDLE) | STATE(CHECKPOINTER_STOPPING),
	[CHECKPOINTER_STOPPING] = STATE(CHECKPOINTER_STOPPED),
};

static const struct state_machine checkpointer_states = {
	"checkpointer", checkpointer_names, checkpointer_changes, CHECKPOINTER_STATES};

/* Under the lock. Wakes the waiter, thread or writer, which checks the state again. */
static void checkpointer_enter(struct checkpointer *checkpointer, enum checkpointer_state state)
{
	state_change(&checkpointer_states, &checkpointer->state, state, 0);
	pthread_cond_broadcast(&checkpointer->wake);
}

/* Runs one checkpoint on a connection; returns the number of log pages left, -1 on failure. */
static int checkpoint_run(struct sqlite_store *store, struct session *session, int mode)
{
	int pages = 0, moved = 0,
	    code = sqlite3_wal_checkpoint_v2(session->db, NULL, mode, &pages, &moved);

	atomic_fetch_add_explicit(&store->checkpoints, 1, memory_order_relaxed);
	if (code != SQLITE_OK && (code & 0xFF) != SQLITE_BUSY && !atomic_load(&store->ending))
		condition_note_error(store, session_reason(code));
	return code == SQLITE_OK ? pages - moved : -1;
}

/* SQLite syncs the database only with the log's last page. A sync here makes the moved pages
 * durable early, and leaves little for then.
 *
 * If it fails, the pages count as moved, and no later sync would report that they are not on the
 * disk. The log still has them while it does not restart. So no further checkpoint runs and the
 * daemon ends; the next start moves the whole log again. */
static void checkpoint_pass(struct sqlite_store *store)
{
	struct checkpointer *checkpointer = &store->checkpointer;

	if (session_step(checkpointer->anchor.begin) != SQLITE_OK)
		return;
	if (session_integer(&checkpointer->anchor, "SELECT count(*) FROM pierre_migrations") > 0 &&
		checkpoint_run(
			store, &store->checkpoint_worker.session, SQLITE_CHECKPOINT_PASSIVE) >= 0 &&
		fdatasync(store->lock_fd) != 0) {
		condition_note_error(store, "the database could not be made durable");
		atomic_store(&store->unsynced, true);
	}
	(void)session_step(checkpointer->anchor.commit);
}

/* A log of gigabytes takes long but makes progress; so does a writer that waits for it. */
static void moved(void *argument)
{
	struct worker *worker = argument;

	worker_moves(worker);
	pthread_cond_broadcast(&worker->store->checkpointer.wake);
}

static void *checkpointer_main(void *argument)
{
	struct worker *worker = argument;
	struct checkpointer *checkpointer = &worker->store->checkpointer;

	pthread_mutex_lock(&checkpointer->lock);
	while (checkpointer->state != CHECKPOINTER_STOPPED) {
		if (checkpointer->state == CHECKPOINTER_IDLE) {
			pthread_cond_wait(&checkpointer->wake, &checkpointer->lock);
			continue;
		}
		pthread_mutex_unlock(&checkpointer->lock);
		worker_moves(worker);
		checkpoint_pass(worker->store);
		worker_rests(worker);
		pthread_mutex_lock(&checkpointer->lock);
		checkpointer_enter(checkpointer,
			checkpointer->state == CHECKPOINTER_STOPPING ? CHECKPOINTER_STOPPED
								     : CHECKPOINTER_IDLE);
	}
	pthread_mutex_unlock(&checkpointer->lock);
	return NULL;
}

/* True when no pass is running. With a very long log the writer waits for it: the disk is slower
 * than the writes. */
static bool at_rest(struct worker *writer, bool wait)
{
	struct checkpointer *checkpointer = &writer->store->checkpointer;

	pthread_mutex_lock(&checkpointer->lock);
	while (checkpointer->state == CHECKPOINTER_RUNNING && wait) {
		pthread_cond_wait(&checkpointer->wake, &checkpointer->lock);
		worker_moves(writer);
	}
	bool rests = checkpointer->state != CHECKPOINTER_RUNNING;
	pthread_mutex_unlock(&checkpointer->lock);
	return rests;
}

static void checkpoint_ask(struct checkpointer *checkpointer)
{
	checkpointer->passes++;
	checkpointer->covered = checkpointer->length;
	pthread_mutex_lock(&checkpointer->lock);
	checkpointer_enter(checkpointer, CHECKPOINTER_RUNNING);
	pthread_mutex_unlock(&checkpointer->lock);
}

/* Moves the last pages and ends the log, unless a reader still needs it. */
static void checkpoint_finish(struct worker *writer, int limit)
{
	struct sqlite_store *store = writer->store;
	struct checkpointer *checkpointer = &store->checkpointer;
	bool large = atomic_load_explicit(&store->wal_bytes, memory_order_relaxed) > WAL_LARGE;

	worker_moves(writer);
	if (large) /* a reader that held the log through all passes may have just ended: then the
	              whole log remains */
		vfs_pace(writer->session.db, store->lock_fd, moved, writer);
	checkpointer->passes = 0;
	checkpointer->covered = 0;
	checkpointer->due = checkpointer->length + limit; /* unless it restarts before */
	int64_t schema = belong_before_checkpoint(&writer->session);
	if (checkpoint_run(store, &writer->session,
		    large ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE) != 0)
		atomic_fetch_add_explicit(&store->checkpoint_busy, 1, memory_order_relaxed);
	else
		belong_after_checkpoint(&writer->session, &store->mark, schema);
	if (large)
		vfs_pace(writer->session.db, -1, NULL, NULL);
}

void checkpoint_if_due(struct worker *writer)
{
	struct sqlite_store *store = writer->store;
	struct checkpointer *checkpointer = &store->checkpointer;
	int limit = (int)store->settings.checkpoint_pages;

	if (store->memory || writer->session.db == NULL || atomic_load(&store->unsynced))
		return;
	if (writer->session.wal_pages < checkpointer->length &&
		at_rest(writer, false)) { /* the log has restarted */
		checkpointer->passes = 0;
		checkpointer->covered = 0;
		checkpointer->due = limit;
	}
	checkpointer->length = writer->session.wal_pages;
	if (checkpointer->length < checkpointer->due ||
		!at_rest(writer, checkpointer->length > checkpointer->due + PATIENCE * limit))
		return;
	if (checkpointer->passes < PASSES_MAX &&
		checkpointer->length - checkpointer->covered > limit / FEW)
		checkpoint_ask(checkpointer);
	else
		checkpoint_finish(writer, limit);
}

int checkpoint_start(struct sqlite_store *store, struct err *err)
{
	struct checkpointer *checkpointer = &store->checkpointer;

	checkpointer->due = (int)store->settings.checkpoint_pages;
	if (session_open(&checkpointer->anchor, store->path, SESSION_READ, NULL, err) < 0 ||
		session_open(&store->checkpoint_worker.session, store->path, SESSION_WRITE, NULL,
			err) < 0)
		return -1;
	store->checkpoint_worker.store = store;
	vfs_pace(store->checkpoint_worker.session.db, store->lock_fd, moved,
		&store->checkpoint_worker);
	return worker_start(&store->checkpoint_worker, checkpointer_main, err);
}

void checkpoint_stop(struct sqlite_store *store)
{
	struct checkpointer *checkpointer = &store->checkpointer;

	pthread_mutex_lock(&checkpointer->lock);
	checkpointer_enter(checkpointer,
		checkpointer->state == CHECKPOINTER_RUNNING ? CHECKPOINTER_STOPPING
							    : CHECKPOINTER_STOPPED);
	pthread_mutex_unlock(&checkpointer->lock);
	if (store->checkpoint_worker.started)
		pthread_join(store->checkpoint_worker.thread, NULL);
}

void checkpoint_free(struct sqlite_store *store)
{
	if (atomic_load(&store->unsynced)) { /* the last connection to close would move the log's
		                                rest and remove the log */
		(void)sqlite3_db_config(store->checkpoint_worker.session.db,
			SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		if (store->writer.session.db != NULL)
			(void)sqlite3_db_config(store->writer.session.db,
				SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	}
	session_close(&store->checkpointer.anchor);
	session_close(&store->checkpoint_worker.session);
	pthread_mutex_destroy(&store->checkpointer.lock);
	pthread_cond_destroy(&store->checkpointer.wake);
}
