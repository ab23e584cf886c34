/* Closes the SQLite store: cancels waiting calls, interrupts running ones, and abandons what a hung
 * disk blocks. Thread: the loop's. */
#include "close.h"

#include <time.h>

#include "../execute.h"
#include "files/backup.h"
#include "loop.h"
#include "sqlite_store.h"
#include "threads/checkpoint.h"
#include "threads/queue.h"
#include "threads/results.h"
#include "threads/worker.h"

enum { STEP_MS = 10 };
static const int64_t second_ns = 1000000000;

static bool is_over(uint64_t deadline)
{
	return deadline != 0 && clock_ns() >= deadline;
}

/* Waits one step for the thread. */
static bool join_soon(pthread_t thread)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += STEP_MS * 1000000;
	until.tv_sec += until.tv_nsec / second_ns;
	until.tv_nsec %= second_ns;
	return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

/* A thread that holds the guard uses its connection itself. */
static void interrupt(struct worker *worker)
{
	if (pthread_mutex_trylock(&worker->guard) != 0)
		return;
	if (worker->session.db != NULL)
		sqlite3_interrupt(worker->session.db);
	pthread_mutex_unlock(&worker->guard);
}

/* An interrupt only hits the current statement, so it is repeated. False: the thread did not end in
 * time. */
static bool end_worker(struct worker *worker, uint64_t deadline)
{
	while (worker->started) {
		interrupt(worker);
		if (join_soon(worker->thread))
			worker->started = false;
		else if (is_over(deadline))
			return false;
	}
	return true;
}

/* The disk blocks a commit: it may be stored or not. */
static void answer_commit(struct sqlite_store *store)
{
	struct worker *writer = &store->writer;
	int runs = COMMIT_RUNS;
	struct list calls;

	if (!atomic_compare_exchange_strong(&writer->commit, &runs, COMMIT_LEFT))
		return;
	list_init(&calls);
	list_splice(&calls, writer->committing);
	list_for_each (node, &calls) {
		struct call *call = call_of(node);

		if (call->err.kind != ERR_NONE || call->method == NULL)
			continue;
		execute_fail(call, ERR_SHUTTING_DOWN,
			"the daemon stopped while the call was being stored");
		call->err.outcome = method_may_write(call->method) ? OUTCOME_UNKNOWN : OUTCOME_NONE;
	}
	results_hand_over(store, &calls);
}

/* Calls that no thread has taken because one hangs. */
static void answer_queue(struct sqlite_store *store, struct queue *queue)
{
	struct list calls;

	list_init(&calls);
	pthread_mutex_lock(&queue->lock);
	list_splice(&calls, &queue->calls);
	queue->length = 0;
	pthread_mutex_unlock(&queue->lock);
	list_for_each (node, &calls)
		worker_given_up(call_of(node));
	results_hand_over(store, &calls);
}

/* Other work can also take long: a copy, a checkpoint pass, and closing, which moves the log's
 * pages into the database. All of it can be abandoned: the log is complete. */
static void *close_free_store(void *argument)
{
	struct sqlite_store *store = argument;

	backup_free(store->backup);
	checkpoint_stop(store);
	sqlite_store_free(store);
	return NULL;
}

static void free_in_time(struct sqlite_store *store, uint64_t deadline)
{
	pthread_t thread;

	interrupt(&store->checkpoint_worker);
	if (deadline == 0 || pthread_create(&thread, NULL, close_free_store, store) != 0) {
		(void)close_free_store(store);
		return;
	}
	while (!join_soon(thread) && !is_over(deadline))
		;
}

static bool end_threads(struct sqlite_store *store, uint64_t deadline)
{
	bool ended = end_worker(&store->writer, deadline);

	for (unsigned i = 0; i < store->reader_count; i++)
		ended = end_worker(&store->readers[i], deadline) && ended;
	return ended;
}

void close_store(struct store *base, uint64_t deadline)
{
	struct sqlite_store *store = sqlite_store_of(base);

	atomic_store(&store->ending, true);
	loop_flush(base);
	queue_stop(&store->writes);
	queue_stop(&store->reads);
	interrupt(&store->checkpoint_worker); /* the writer may wait for it */
	if (end_threads(store, deadline)) {
		large_expire(store);
		loop_process(base);
		free_in_time(store, deadline);
		return;
	}
	/* A thread hangs in disk I/O and still uses the store, which is not freed. */
	answer_commit(store);
	answer_queue(store, &store->writes);
	answer_queue(store, &store->reads);
	large_expire(store);
	loop_process(base);
}
