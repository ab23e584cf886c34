/* The thread that writes: all waiting calls share one transaction.
 *
 * A write is answered only after the COMMIT that holds it. A failed statement undoes its own
 * changes alone. A failure that ends the whole transaction makes the other calls of its batch run
 * again.
 *
 * SQLite itself ends the transaction on some errors, such as out of memory, and later statements
 * would commit one by one. So the state is checked after each call. */
#include "writer.h"

#include <time.h>
#include <unistd.h>

#include "../../../protocol/value.h"
#include "../../execute.h"
#include "../../secrets/seal_log.h"
#include "../../transaction.h"
#include "../condition.h"
#include "../files/belong.h"
#include "../keys.h"
#include "../migrate.h"
#include "../rotate.h"
#include "../sqlite_store.h"
#include "checkpoint.h"
#include "queue.h"
#include "replay.h"
#include "results.h"
#include "rollup.h"
#include "worker.h"

static void fail_all(struct list *calls, const char *reason)
{
	list_for_each (node, calls)
		if (call_of(node)->method != NULL) {
			execute_fail(call_of(node), ERR_STORAGE,
				"%s; nothing of the call was stored", reason);
			call_of(node)->err.outcome = OUTCOME_NONE;
		}
}

static bool is_interrupt(int code)
{
	return (code & 0xFF) == SQLITE_INTERRUPT;
}

/* BEGIN IMMEDIATE; waits for another program's lock as long as any call has time. False: no call is
 * left. */
static bool writer_begin(struct worker *writer, struct list *calls, int *code)
{
	struct sqlite_store *store = writer->store;

	for (;;) {
		struct list expired;

		*code = session_step(writer->session.begin);
		if ((*code & 0xFF) != SQLITE_BUSY && !is_interrupt(*code))
			return true;
		list_init(&expired);
		worker_expire(store, calls, &expired);
		results_hand_over(store, &expired);
		worker_moves(writer);
		if (list_empty(calls))
			return false;
	}
}

static bool transaction_lost(const struct worker *writer)
{
	return sqlite3_get_autocommit(writer->session.db) != 0;
}

/* Marks the call that ended the transaction, or that failed although its statement changed rows
 * (`changes`: before it): none of that may be stored. False: neither applies. The calls of a
 * transaction have undone their changes. */
static bool voids_batch(struct worker *writer, struct call *call, sqlite3_int64 changes)
{
	bool lost = transaction_lost(writer);

	if (!lost &&
		(call->err.kind == ERR_NONE || transaction_is(call) ||
			sqlite3_total_changes64(writer->session.db) == changes))
		return false;
	if (call->method == NULL)
		return true;
	if (call->err.kind == ERR_NONE)
		execute_fail(call, ERR_STORAGE,
			"the database rolled back the transaction; nothing of the call was stored");
	if (call->err.kind == ERR_INTERNAL || call->err.kind == ERR_STORAGE)
		call->err.outcome = OUTCOME_NONE;
	call->attempts = ATTEMPTS_MAX;
	return true;
}

/* Runs up to `max` calls of one transaction in order. Ended ones move to `finished`. RUN_BROKEN or
 * RUN_INTERRUPTED: the transaction is gone or void, and the caller runs `finished` again, except
 * calls that failed by their own fault. */
static enum run_result run_batch(
	struct worker *writer, struct list *calls, unsigned max, struct list *finished)
{
	for (; max > 0 && !list_empty(calls); max--) {
		struct list *node = list_first(calls);
		sqlite3_int64 changes = sqlite3_total_changes64(writer->session.db);
		enum run_result result = worker_run(writer, call_of(node));

		list_remove(node);
		if (result == RUN_INTERRUPTED || result == RUN_BUSY) {
			bool gone = transaction_lost(writer);

			if (worker_gives_up(writer->store, call_of(node))) {
				list_append(finished, node);
			} else {
				node->next =
					calls->next; /* back to the front, which keeps the order */
				node->prev = calls;
				calls->next->prev = node;
				calls->next = node;
			}
			if (gone)
				return RUN_INTERRUPTED;
			continue;
		}
		list_append(finished, node);
		if (result == RUN_BROKEN)
			return RUN_BROKEN;
		if (voids_batch(writer, call_of(node), changes))
			return RUN_INTERRUPTED;
	}
	return RUN_DONE;
}

/* Errors that depend on rolled-back rows no longer hold. */
static bool must_run_again(const struct call *call)
{
	return call->err.kind == ERR_NONE ||
		(call->attempts < ATTEMPTS_MAX &&
			(call->err.kind == ERR_CONFLICT || call->err.kind == ERR_NOT_FOUND));
}

/* Puts rolled-back calls in front of those that have not run. Calls that failed by their own fault
 * keep their error. */
static void run_again(struct sqlite_store *store, struct list *calls, struct list *finished)
{
	struct list again;

	list_init(&again);
	list_for_each_safe (node, finished) {
		struct call *call = call_of(node);

		if (call->method == NULL || !must_run_again(call))
			continue;
		list_remove(node);
		execute_restart(call);
		list_append(&again, node);
		atomic_fetch_add_explicit(&store->retries, 1, memory_order_relaxed);
	}
	list_splice_front(calls, &again);
}

/* Answers calls in the queue and in the thread whose time has run out. True: the store is
 * stopping. */
static bool expire_while_closed(struct worker *writer, struct list *held)
{
	struct sqlite_store *store = writer->store;
	struct list waiting, expired;
	bool stopped;

	list_init(&waiting);
	list_init(&expired);
	pthread_mutex_lock(&store->writes.lock);
	stopped = store->writes.stop;
	list_splice(&waiting, &store->writes.calls);
	worker_expire(store, &waiting, &expired);
	list_for_each (node, &expired)
		store->writes.length--;
	list_splice(&store->writes.calls, &waiting);
	pthread_mutex_unlock(&store->writes.lock);
	if (held != NULL)
		worker_expire(store, held, &expired);
	if (writer->later != NULL)
		worker_expire(store, writer->later, &expired);
	results_hand_over(store, &expired);
	return stopped;
}

/* After a failed commit SQLite may appear healthy although pages were lost. Nothing is answered
 * before the database is closed, opened and read again, which may keep failing.
 *
 * Failed writes (`failed`, NULL: none) are answered meanwhile. Calls that have not run (`held`,
 * NULL: none) wait until their time runs out. */
static void reopen(struct worker *writer, struct list *failed, struct list *held)
{
	struct sqlite_store *store = writer->store;
	struct err err;

	atomic_store(&store->writing, WRITING_FAILS);
	atomic_store(&store->broken, true);
	pthread_mutex_lock(&writer->guard);
	session_close(&writer->session);
	pthread_mutex_unlock(&writer->guard);
	while (!atomic_load(&store->lost)) {
		bool stopped;

		if (session_open(&writer->session, store->path, SESSION_WRITE, store->settings.seal,
			    &err) == 0 &&
			session_integer(
				&writer->session, "SELECT count(*) FROM pierre_migrations") > 0) {
			sqlite3_busy_timeout(writer->session.db, WRITER_BUSY_MS);
			worker_watch(writer);
			break;
		}
		session_close(&writer->session);
		condition_note_error(store, err.message);
		if (failed != NULL)
			results_hand_over(store, failed);
		stopped = expire_while_closed(writer, held);
		worker_moves(writer);
		if (stopped || atomic_load(&store->ending))
			break;
		nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
	}
	atomic_fetch_add_explicit(&store->reconnects, 1, memory_order_relaxed);
	atomic_store(&store->broken, false);
}

static void count_batch(struct sqlite_store *store, unsigned calls)
{
	atomic_fetch_add_explicit(&store->transactions, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&store->batched, calls, memory_order_relaxed);
	if (calls > atomic_load_explicit(&store->batch_max, memory_order_relaxed))
		atomic_store_explicit(&store->batch_max, calls, memory_order_relaxed);
}

/* The count of sealed texts is stored in the same transaction as the texts. */
static int commit_batch(struct worker *writer)
{
	uint64_t stored = 0, added = keys_count(&writer->session, &stored);

	replay_forget(writer);

	/* The count, the forgotten keys or the mark may have ended the transaction: then there is
	 * nothing to commit, and the batch runs again. */
	bool lost = transaction_lost(writer);
	bool marked = !lost && writer->store->mark.due &&
		belong_write(&writer->session, &writer->store->mark) == SQLITE_OK;
	int code = lost || transaction_lost(writer) ? SQLITE_ABORT_ROLLBACK
						    : session_step(writer->session.commit);

	if (marked && code == SQLITE_OK)
		writer->store->mark.due = false;
	if (added > 0)
		seal_log_counted(&writer->store->settings, added, stored, code == SQLITE_OK);
	if (code == SQLITE_OK &&
		atomic_load_explicit(&writer->store->writing, memory_order_relaxed) ==
			WRITING_FAILS &&
		sqlite3_total_changes(writer->session.db) !=
			0) /* of the connection opened after the failure */
		atomic_store(&writer->store->writing, WRITING_AGAIN);
	return code;
}

static void enter_commit(struct worker *writer, struct list *calls)
{
	writer->committing = calls;
	atomic_store(&writer->commit, COMMIT_RUNS);
}

/* When the loop has answered the calls, the process is about to end. */
static void leave_commit(struct worker *writer)
{
	int runs = COMMIT_RUNS;

	while (!atomic_compare_exchange_strong(&writer->commit, &runs, COMMIT_NONE))
		(void)pause();
}

/* Runs the calls of the open transaction and commits. RUN_INTERRUPTED: the transaction is gone, or
 * an interrupt that came too late for its call has hit the commit. */
static enum run_result run_and_commit(
	struct worker *writer, struct list *calls, unsigned max, struct list *finished, int *code)
{
	enum run_result result = run_batch(writer, calls, max, finished);
	bool rolls;

	if (result == RUN_BROKEN)
		*code = sqlite3_extended_errcode(writer->session.db);
	if (result != RUN_DONE)
		return result;
	worker_moves(writer);
	rolls = rollup_join(writer->store, &writer->session);
	worker_moves(writer);
	enter_commit(writer, finished);
	*code = commit_batch(writer);
	leave_commit(writer);
	if (rolls)
		rollup_ended(writer->store, *code == SQLITE_OK);
	if (*code == SQLITE_OK)
		return RUN_DONE;
	return is_interrupt(*code) || *code == SQLITE_ABORT_ROLLBACK ? RUN_INTERRUPTED : RUN_BROKEN;
}

static void roll_back(struct worker *writer)
{
	if (!transaction_lost(writer))
		(void)session_step(writer->session.rollback);
}

/* A page read by a call is damaged; the transaction's own writes are not. The last call that ran is
 * the cause; the others may use undamaged pages only. */
static bool is_damage(const struct list *finished, int code)
{
	bool on_reading = (code & 0xFF) == SQLITE_CORRUPT || code == SQLITE_IOERR_READ ||
		code == SQLITE_IOERR_SHORT_READ;
	const struct call *last = list_empty(finished) ? NULL : call_of(finished->prev);

	return on_reading && last != NULL && last->method != NULL && last->err.kind == ERR_STORAGE;
}

/* After a rollback. True: run what is left in `calls` again, without calls that have failed for
 * good. */
static bool after_failure(
	struct worker *writer, struct list *calls, struct list *finished, int code)
{
	struct list failed;
	bool alone = is_damage(finished, code);

	condition_note_error(writer->store, session_reason(code));
	list_init(&failed);
	if (alone) {
		struct list *node = finished->prev;

		list_remove(node);
		list_append(&failed, node);
		run_again(writer->store, calls, finished);
	} else {
		list_splice(&failed, finished);
		list_splice(&failed, calls);
	}
	fail_all(&failed, session_reason(code));
	if (!writer->store->memory)
		reopen(writer, &failed, calls);
	list_splice(finished, &failed);
	return alone && writer->session.db != NULL;
}

static void answer_batch(struct sqlite_store *store, struct list *finished)
{
	if (list_empty(finished))
		return;
	count_batch(store, list_length(finished));
	results_hand_over(store, finished);
}

/* Writes one batch: all of `calls` in one durable transaction. If a call ends the transaction,
 * smaller ones follow. So a recurring failure, such as out of memory, spares most calls. What is
 * left in `calls` could not run. */
static void write_batch(struct worker *writer, struct list *calls)
{
	struct sqlite_store *store = writer->store;
	struct list finished;
	unsigned max = list_length(calls), uncounted = 0;
	bool again = true;
	int code;

	list_init(&finished);
	atomic_store_explicit(&writer->running, max, memory_order_relaxed);
	while (again && !list_empty(calls) && writer_begin(writer, calls, &code)) {
		enum run_result result = code == SQLITE_OK
			? run_and_commit(writer, calls, max, &finished, &code)
			: RUN_BROKEN;

		if (result == RUN_DONE) {
			answer_batch(store, &finished);
			continue;
		}
		roll_back(writer);
		max = list_length(&finished) / 2 + 1;
		if (code == SQLITE_ABORT_ROLLBACK && ++uncounted >= ATTEMPTS_MAX)
			result = RUN_BROKEN;
		if (result == RUN_INTERRUPTED)
			run_again(store, calls, &finished);
		else
			again = after_failure(writer, calls, &finished, code);
	}
	atomic_store_explicit(&writer->running, 0, memory_order_relaxed);
	answer_batch(store, &finished);
}

static bool runs_alone(const struct call *call)
{
	return call->method != NULL &&
		(call->method->impl == IMPL_MIGRATE || call->method->impl == IMPL_ROTATE_KEY);
}

/* Moves the calls before one that needs its own transactions; none when it is first. */
static void split_at_lone(struct list *calls, struct list *batch)
{
	while (!list_empty(calls) && !runs_alone(call_of(list_first(calls)))) {
		struct list *node = list_first(calls);

		list_remove(node);
		list_append(batch, node);
	}
}

static void run_migrate(struct worker *writer, struct call *call)
{
	int64_t schema = migrate_call(&writer->session, call, writer->store->settings.log);

	if (schema >= 0)
		atomic_store(&writer->store->schema, schema);
}

static void run_alone(struct worker *writer, struct call *call)
{
	struct list finished;

	list_init(&finished);
	list_append(&finished, &call->link);
	if (!execute_admit(call))
		;
	else if (call->method->impl == IMPL_MIGRATE)
		run_migrate(writer, call);
	else if (rotate_run(writer, call) == RUN_BROKEN && !writer->store->memory)
		reopen(writer, &finished, NULL);
	results_hand_over(writer->store, &finished);
}

static void write_all(struct worker *writer, struct list *calls)
{
	writer->later = calls;
	while (!list_empty(calls) && writer->session.db != NULL) {
		struct list batch;

		list_init(&batch);
		split_at_lone(calls, &batch);
		if (list_empty(&batch)) {
			struct list *node = list_first(calls);

			list_remove(node);
			run_alone(writer, call_of(node));
		} else {
			write_batch(writer, &batch);
			list_splice_front(calls, &batch); /* not empty only when the database is
			                                     unavailable: see below */
		}
	}
	writer->later = NULL;
	fail_all(calls, "the database is unavailable"); /* reopening it was cancelled */
	results_hand_over(writer->store, calls);
}

/* A commit that failed so: what the file holds is certain only once it is open again. */
static bool in_doubt(const struct sqlite_store *store, int code)
{
	return !is_interrupt(code) && code != SQLITE_ABORT_ROLLBACK && !store->memory;
}

/* A step while no call waits; a batch of calls takes one along. A failed step is tried again some
 * seconds later; only a failed commit leaves the database in doubt. */
static void roll_up(struct worker *writer)
{
	struct sqlite_store *store = writer->store;
	int code;

	if (writer->session.db == NULL || queue_length(&store->writes) != 0 ||
		!rollup_due(store, &writer->session))
		return;
	code = session_step(writer->session.begin);
	if (code != SQLITE_OK)
		return;
	worker_moves(writer);
	code = rollup_run(store, &writer->session);
	if (code == SQLITE_OK) {
		code = commit_batch(writer);
		if (code != SQLITE_OK && in_doubt(store, code)) {
			condition_note_error(store, session_reason(code));
			rollup_ended(store, false);
			reopen(writer, NULL, NULL);
			return;
		}
	}
	roll_back(writer);
	rollup_ended(store, code == SQLITE_OK);
}

/* Removes old idempotency keys while no call waits; a batch of calls removes some as well. */
static void forget_keys(struct worker *writer)
{
	struct sqlite_store *store = writer->store;
	int code = SQLITE_OK;

	while (code == SQLITE_OK && queue_length(&store->writes) == 0 &&
		!atomic_load(&store->ending) && replay_forgets(writer) &&
		session_step(writer->session.begin) == SQLITE_OK) {
		worker_moves(writer);
		code = commit_batch(writer);
		if (code == SQLITE_OK)
			continue;
		roll_back(writer);
		if (in_doubt(store, code))
			reopen(writer, NULL, NULL);
	}
}

void *writer_main(void *argument)
{
	struct worker *writer = argument;
	struct sqlite_store *store = writer->store;
	struct list calls, expired;

	list_init(&calls);
	while (queue_take(&store->writes, &calls, store->settings.batch, 1)) {
		worker_moves(writer);
		worker_count_waits(store, &calls);
		list_init(&expired);
		worker_expire(store, &calls, &expired);
		results_hand_over(store, &expired);
		if (writer->session.db == NULL)
			reopen(writer, NULL,
				&calls); /* the last attempt ended without a database */
		write_all(writer, &calls);
		roll_up(writer);
		forget_keys(writer);
		checkpoint_if_due(writer);
		worker_rests(writer);
	}
	return NULL;
}
