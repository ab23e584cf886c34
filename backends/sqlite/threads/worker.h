/* A thread with its own SQLite connection; shared by the writer, the readers and the
 * checkpointer. */
#ifndef PIERRE_SQLITE_WORKER_H
#define PIERRE_SQLITE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "../session.h"

struct sqlite_store;

/* Max attempts of one call. */
enum { ATTEMPTS_MAX = 5 };

/* Which thread answers the calls of a commit: a disk can block it for ever, and the daemon must
 * still end. */
enum commit {
	COMMIT_NONE,
	COMMIT_RUNS,
	COMMIT_LEFT /* the loop has answered them: the thread must not touch them */
};

struct worker {
	struct sqlite_store *store;
	struct session session;
	pthread_t thread;
	bool started;
	pthread_mutex_t guard; /* held to interrupt or to close the connection */
	atomic_uint_fast64_t
		deadline;    /* of the running call; 0 = none. tick interrupts it when it is past */
	atomic_uint running; /* calls in the database */
	atomic_int commit;   /* enum commit */
	struct list *committing;    /* the calls of the commit in progress */
	struct list *later;         /* taken from the queue, behind the running ones; or NULL */
	atomic_uint_fast64_t moved; /* clock_ns() at its last step; 0 = idle */
};

int worker_start(struct worker *worker, void *(*run)(void *), struct err *err);
/* The watchdog is notified only while no thread with work is stalled for long. */
void worker_moves(struct worker *worker);
void worker_rests(struct worker *worker);
void worker_watch(struct worker *worker); /* long statements count as progress */
/* Runs a read (or the health probe) on a connection within the caller's transaction, up to its
 * deadline. */
enum run_result worker_run(struct worker *worker, struct call *call);
/* Whether an interrupted call has ended; false: it runs again, since the interrupt was not meant
 * for it. */
bool worker_gives_up(struct sqlite_store *store, struct call *call);
/* Fails a call whose time ran out before it did anything. */
void worker_timed_out(struct sqlite_store *store, struct call *call);
/* Fails a call that did not begin, or was rolled back, because the daemon is stopping. */
void worker_given_up(struct call *call);
/* Moves calls whose deadline has passed from `calls` to `expired`, failed. */
void worker_expire(struct sqlite_store *store, struct list *calls, struct list *expired);
/* Records how long the calls just taken have waited. */
void worker_count_waits(struct sqlite_store *store, struct list *calls);

#endif
