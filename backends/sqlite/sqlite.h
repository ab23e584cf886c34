/* The SQLite store, inside: what its files share. See sqlite.c for the whole and for who runs on
 * which thread. */
#ifndef PIERRE_SQLITE_H
#define PIERRE_SQLITE_H

#include <pthread.h>
#include <stdatomic.h>

#include "../rotation.h"
#include "../store.h"
#include "../failure_log.h"
#include "files/belong.h"
#include "checkpoint.h"
#include "files/place.h"
#include "session.h"
#include "watch.h"

enum { READERS_MAX = 16, MORE = 1 };
enum {
	WRITER_BUSY_MS = 50
}; /* how long SQLite waits for an outside lock before the writer looks after its calls' deadlines
    */

/* Where a call runs; kept in call->route while it is lent. */
enum route { ROUTE_NONE, ROUTE_WRITER, ROUTE_READER };

/* Calls that wait for threads, under one lock. The loop appends once a turn; each thread takes what
 * has piled up. */
struct queue {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list calls;
	unsigned length;
	bool stop;
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

/* Whose the calls of a commit are: a disk can keep it for ever, and the daemon ends all the same.
 */
enum commit {
	COMMIT_NONE,
	COMMIT_RUNS,
	COMMIT_LEFT /* the loop has answered them: the thread must not touch them any more */
};

/* How the last write went. */
enum writing {
	WRITING_WELL,
	WRITING_FAILS,
	WRITING_AGAIN, /* it was stored; those before were not, and the log has not told yet that
	                  this is over */
};

struct sqlite_store {
	struct store store; /* first: what the daemon sees */
	struct store_settings settings;
	struct place place;
	const char *path;              /* place.path, the one real name */
	bool memory;                   /* everything on the writer's one connection */
	int lock_fd;                   /* place.fd */
	struct belong_mark mark;       /* the writer's thread only */
	char warning[ERR_MESSAGE_MAX]; /* about where the file lies; "": none */
	struct watch watch;

	/* Loop thread only. */
	struct session loop;
	bool loop_reading;     /* a read transaction is open on it */
	unsigned loop_asked;   /* how often SQLite asked during this run whether to go on */
	size_t loop_bytes_max; /* of an answer that was made on it */
	struct list to_writer, to_readers; /* submitted in this turn, not yet handed over */
	unsigned to_writer_count, to_readers_count;
	struct list completed; /* answered in submit: done() comes with flush or process */

	struct backup *backup; /* the last copy, running or over; NULL: none yet */

	struct rotation rotation; /* the writer's thread only */

	struct queue writes, reads;
	struct worker writer, checkpoint_worker, readers[READERS_MAX];
	unsigned reader_count;

	struct checkpointer checkpointer;

	/* Results, on their way back to the loop. */
	pthread_mutex_t done_lock;
	struct list done;
	int done_fd; /* eventfd */

	atomic_int_fast64_t schema; /* newest migration in the database */
	atomic_bool lost;     /* the files were removed or replaced: nothing is answered any more */
	atomic_bool ending;   /* nothing begins any more; what waits or runs is given up */
	atomic_bool unsynced; /* a checkpoint's sync failed: see checkpoint.c */
	atomic_bool broken;   /* the writer is reopening the database after a failure */
	atomic_uint_fast64_t transactions, batched, batch_max, checkpoints, checkpoint_busy,
		reconnects, retries, timeouts, wait_ns, waits, wal_bytes;
	pthread_mutex_t error_lock;
	char last_error[ERR_MESSAGE_MAX];
	int64_t last_error_at;
	struct failure_log failure_log;
	_Atomic enum writing writing;
};

/* condition.c. Any thread: the storage has failed. */
void condition_note_error(struct sqlite_store *store, const char *text);
/* Each second: the end of that goes to the log, too. */
void condition_tell_recovery(struct sqlite_store *store);
enum store_health condition_health(struct store *base, char detail[ERR_MESSAGE_MAX]);

void queue_init(struct queue *queue);
void queue_destroy(struct queue *queue);
/* Appends all of `calls` and wakes: one thread, or all when there is enough for several. */
void queue_push(struct queue *queue, struct list *calls, unsigned count);
/* Waits for calls; takes up to `most`, sharing with `sharers` threads. False when the queue was
 * stopped and is empty. */
bool queue_take(struct queue *queue, struct list *calls, unsigned max, unsigned sharers);
void queue_stop(struct queue *queue);

/* Any thread: hands finished calls to the loop with one wake-up. */
void sqlite_finish(struct sqlite_store *store, struct list *calls);
/* A call whose time ran out before it did anything. */
void workers_timed_out(struct sqlite_store *store, struct call *call);
/* Moves calls whose deadline has passed from `calls` to `expired`, failed. */
void workers_expire(struct sqlite_store *store, struct list *calls, struct list *expired);

/* A call that was not begun, or taken back whole, since the daemon ends. */
void workers_given_up(struct call *call);

int open_worker(struct worker *worker, void *(*run)(void *), struct err *err);
/* The watchdog is fed only while no thread that has work is stalled for long. */
void worker_moves(struct worker *worker);
void worker_rests(struct worker *worker);
void *workers_writer(void *worker);
void *workers_reader(void *worker);
/* Runs a read (or the health probe) on a connection within the caller's transaction, minding its
 * deadline. */
enum run_result workers_run(struct worker *worker, struct call *call);
void workers_watch_worker(struct worker *worker); /* its long statements count as moving */
/* Tells the seal what became of a count of its sealings, and warns when they become many. */
void sqlite_counted(struct sqlite_store *store, uint64_t added, uint64_t stored, bool committed);
/* sqlite.c, for close.c: hands over what was submitted; takes what is done. */
void sqlite_flush(struct store *base);
void sqlite_process(struct store *base);
/* close.c */
void close_sqlite(struct store *base, uint64_t deadline);
int sqlite_migrate(struct sqlite_store *store, struct session *session, struct call *call);

#endif
