/* A thread with a SQLite connection of its own: what the writer, the readers and the checkpointer
 * share. */
#ifndef PIERRE_SQLITE_WORKER_H
#define PIERRE_SQLITE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "../session.h"

struct sqlite_store;

/* Tries of one call. */
enum { ATTEMPTS_MAX = 5 };

/* Who answers the calls of a commit: a disk can keep it for ever, and the daemon ends all the same.
 */
enum commit {
	COMMIT_NONE,
	COMMIT_RUNS,
	COMMIT_LEFT /* the loop has answered them: the thread must not touch them any more */
};

struct worker {
	struct sqlite_store *store;
	struct session session;
	pthread_t thread;
	bool started;
	pthread_mutex_t guard; /* held by who interrupts the connection, and by who closes it */
	atomic_uint_fast64_t
		deadline; /* of the call that runs now; 0 = none. tick interrupts when it is past */
	atomic_uint running;        /* calls in the database */
	atomic_int commit;          /* enum commit */
	struct list *committing;    /* the calls that a commit under way is about */
	struct list *later;         /* taken from the queue, behind those that run now; or NULL */
	atomic_uint_fast64_t moved; /* clock_ns() at its last step; 0 = it has nothing to do */
};

int worker_start(struct worker *worker, void *(*run)(void *), struct err *err);
/* The watchdog is fed only while no thread that has work is stalled for long. */
void worker_moves(struct worker *worker);
void worker_rests(struct worker *worker);
void worker_watch(struct worker *worker); /* its long statements count as moving */
/* Runs a read (or the health probe) on a connection within the caller's transaction, minding its
 * deadline. */
enum run_result worker_run(struct worker *worker, struct call *call);
/* Whether an interrupted call has ended; false: it is to run again, since it was hit by mistake. */
bool worker_gives_up(struct sqlite_store *store, struct call *call);
/* A call whose time ran out before it did anything. */
void worker_timed_out(struct sqlite_store *store, struct call *call);
/* A call that was not begun, or rolled back whole, because the daemon ends. */
void worker_given_up(struct call *call);
/* Moves calls whose deadline has passed from `calls` to `expired`, failed. */
void worker_expire(struct sqlite_store *store, struct list *calls, struct list *expired);
/* How long calls waited for the thread that takes them now. */
void worker_count_waits(struct sqlite_store *store, struct list *calls);

#endif
