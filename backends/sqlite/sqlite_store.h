/* Internals of the SQLite store, shared by its files. See sqlite.c for an overview and the
 * threads. */
#ifndef PIERRE_SQLITE_STORE_H
#define PIERRE_SQLITE_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "../failure_log.h"
#include "../secrets/rotation.h"
#include "../store.h"
#include "files/belong.h"
#include "files/place.h"
#include "files/watch.h"
#include "session.h"
#include "threads/checkpoint.h"
#include "threads/large.h"
#include "threads/queue.h"
#include "threads/rollup.h"
#include "threads/worker.h"

enum { READERS_MAX = 16 };

/* Where a call runs; kept in call->route while it is lent. */
enum sqlite_route {
	ROUTE_NONE,
	ROUTE_WRITER,
	ROUTE_READER,
	ROUTE_READER_LARGE, /* a reader moves it to the large answers without trying it */
	ROUTE_LARGE
};

/* Outcome of the last write. */
enum writing {
	WRITING_WELL,
	WRITING_FAILS,
	WRITING_AGAIN, /* stored after earlier failures, whose end is not logged yet */
};

struct sqlite_store {
	struct store store; /* first member: the daemon's view */
	struct store_settings settings;
	struct sqlite_place place;
	const char *path;              /* place.path, the file's real path */
	bool memory;                   /* the writer's connection does everything */
	int lock_fd;                   /* place.fd */
	struct belong_mark mark;       /* the writer's thread only */
	char warning[ERR_MESSAGE_MAX]; /* warning about the file's location; "": none */
	struct watch watch;

	/* Loop thread only. */
	struct session loop;
	bool loop_reading;     /* a read transaction is open on it */
	unsigned loop_asked;   /* how often SQLite's progress callback ran in this look-up */
	size_t loop_bytes_max; /* bytes of an answer encoded on the loop */
	struct list to_writer, to_readers; /* submitted in this iteration, not yet handed over */
	unsigned to_writer_count, to_readers_count;
	struct list completed; /* answered in submit; done() runs in flush or process */

	struct backup *backup; /* the last copy, running or finished; NULL: none yet */

	struct rotation rotation; /* the writer's thread only */
	struct rollup rollup;

	struct queue writes, reads;
	struct large_reads large;
	struct worker writer, checkpoint_worker, readers[READERS_MAX];
	unsigned reader_count;

	struct checkpointer checkpointer;

	/* Results on their way back to the loop. */
	pthread_mutex_t done_lock;
	struct list done;
	int done_fd; /* eventfd */

	atomic_int_fast64_t schema;     /* newest migration in the database */
	atomic_uint_fast64_t forget_at; /* clock_ns() from which old idempotency keys are removed */
	atomic_bool lost;     /* the files were removed or replaced: calls are no longer answered */
	atomic_bool ending;   /* nothing new begins; waiting and running calls are cancelled */
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

static inline struct sqlite_store *sqlite_store_of(struct store *store)
{
	return (struct sqlite_store *)(void *)store;
}

/* NULL: out of memory or descriptors. */
struct sqlite_store *sqlite_store_new(
	const struct store_ops *ops, const struct store_settings *settings);
/* Closes connections and files in the only safe order and frees the store. The threads have
 * ended. */
void sqlite_store_free(struct sqlite_store *store);

#endif
