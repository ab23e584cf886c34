#include "worker.h"

#include <string.h>
#include <sysexits.h>

#include "../../../protocol/value.h"
#include "../../execute.h"
#include "../sqlite_store.h"
#include "replay.h"
#include "savepoint.h"

enum { MOVES_STEPS = 1 << 20 };

void worker_moves(struct worker *worker)
{
	atomic_store_explicit(&worker->moved, clock_ns(), memory_order_relaxed);
}

void worker_rests(struct worker *worker)
{
	atomic_store_explicit(&worker->moved, 0, memory_order_relaxed);
}

/* A long statement still makes progress. */
static int moves(void *worker)
{
	worker_moves(worker);
	return 0;
}

void worker_watch(struct worker *worker)
{
	sqlite3_progress_handler(worker->session.db, MOVES_STEPS, moves, worker);
}

int worker_start(struct worker *worker, void *(*run)(void *), struct err *err)
{
	int error = pthread_create(&worker->thread, NULL, run, worker);

	if (error != 0)
		return err_exit(err, EX_OSERR, "a thread cannot be started: %s", strerror(error));
	worker->started = true;
	return 0;
}

enum run_result worker_run(struct worker *worker, struct call *call)
{
	enum run_result result = RUN_DONE;

	if (call->method == NULL) { /* the health probe: a real read */
		if (session_integer(&worker->session, "SELECT count(*) FROM pierre_migrations") < 0)
			err_set(&call->err, ERR_STORAGE, "%s",
				session_reason(sqlite3_extended_errcode(worker->session.db)));
		return RUN_DONE;
	}
	if (call->err.kind != ERR_NONE)
		return RUN_DONE; /* preparing it failed */
	if (atomic_load_explicit(&worker->store->ending, memory_order_relaxed)) {
		worker_given_up(call);
		return RUN_DONE;
	}
	if (!execute_admit(call))
		return RUN_DONE;
	worker_moves(worker);
	atomic_store_explicit(&worker->deadline, call->deadline, memory_order_release);
	result = call->idempotency == NULL ? savepoint_run(&worker->session, call)
					   : replay_run(&worker->session, call);
	atomic_store_explicit(&worker->deadline, 0, memory_order_relaxed);
	return result;
}

void worker_timed_out(struct sqlite_store *store, struct call *call)
{
	if (call->method != NULL)
		execute_fail(call, ERR_TIMEOUT, "the call's time ran out before it could run");
	else
		err_set(&call->err, ERR_TIMEOUT, "the database did not answer in time");
	call->err.outcome = OUTCOME_NONE;
	atomic_fetch_add_explicit(&store->timeouts, 1, memory_order_relaxed);
}

void worker_given_up(struct call *call)
{
	if (call->method != NULL)
		execute_fail(call, ERR_SHUTTING_DOWN,
			"the daemon stopped before the call ran; nothing of it was stored");
	else
		err_set(&call->err, ERR_SHUTTING_DOWN, "the daemon is stopping");
	call->err.outcome = OUTCOME_NONE;
}

void worker_expire(struct sqlite_store *store, struct list *calls, struct list *expired)
{
	uint64_t now = clock_ns();
	bool ending = atomic_load(&store->ending);

	list_for_each_safe (node, calls) {
		struct call *call = call_of(node);

		if (!ending && (call->deadline == 0 || call->deadline > now))
			continue;
		list_remove(node);
		if (call->deadline != 0 && call->deadline <= now)
			worker_timed_out(store, call);
		else
			worker_given_up(call);
		list_append(expired, node);
	}
}

/* Outcome of an interrupted call: its time has run out, or the interrupt was meant for another and
 * it runs again. */
bool worker_gives_up(struct sqlite_store *store, struct call *call)
{
	if ((call->deadline != 0 && call->deadline <= clock_ns()) ||
		++call->attempts >= ATTEMPTS_MAX) {
		worker_timed_out(store, call);
		return true;
	}
	if (atomic_load(&store->ending)) {
		worker_given_up(call);
		return true;
	}
	execute_restart(call);
	return false;
}

/* Records how long the calls just taken have waited. */
void worker_count_waits(struct sqlite_store *store, struct list *calls)
{
	uint64_t now = clock_ns(), total = 0, count = 0;

	list_for_each (node, calls) {
		uint64_t submitted = call_of(node)->submitted;

		if (submitted == 0 || submitted > now)
			continue;
		total += now - submitted;
		count++;
	}
	atomic_fetch_add_explicit(&store->wait_ns, total, memory_order_relaxed);
	atomic_fetch_add_explicit(&store->waits, count, memory_order_relaxed);
}
