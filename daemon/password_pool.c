#include "password_pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct password_pool {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct list waiting, working, finished;  /* under the lock; every job is in one of them */
	unsigned waiting_count, running, most_waiting;
	uint64_t turn;                   /* of the job that was begun last */
	bool stopping;
	uint64_t hashed, verified, timeouts;
	uv_async_t wake;
	unsigned thread_count;
	pthread_t threads[];
};

static void work(struct password_job *job)
{
	job->err = (struct err){.kind = ERR_NONE};
	if (job->verify)
		job->matches = password_verify(job->password, job->stored, job->cost);
	else
		(void)password_hash(job->password, job->cost, job->hash, &job->err);
}

/* Holding the lock, which is released while it works. */
static void run_job(struct password_pool *pool, struct password_job *job)
{
	if (job->deadline != 0 && uv_hrtime() >= job->deadline) {
		(void)err_set(&job->err, ERR_TIMEOUT, "the call's time ran out while its password waited to be worked on");
		job->err.outcome = OUTCOME_NONE;
		pool->timeouts++;
		return;
	}
	pool->running++;
	(void)pthread_mutex_unlock(&pool->lock);
	work(job);
	(void)pthread_mutex_lock(&pool->lock);
	pool->running--;
	if (job->verify)
		pool->verified++;
	else
		pool->hashed++;
}

static void *worker(void *argument)
{
	struct password_pool *pool = argument;

	(void)pthread_mutex_lock(&pool->lock);
	while (!pool->stopping) {
		struct list *first;

		if (list_empty(&pool->waiting)) {
			(void)pthread_cond_wait(&pool->filled, &pool->lock);
			continue;
		}
		first = list_first(&pool->waiting);
		list_remove(first);
		pool->waiting_count--;
		pool->turn = list_entry(first, struct password_job, link)->turn;
		list_append(&pool->working, first);
		run_job(pool, list_entry(first, struct password_job, link));
		list_remove(first);
		list_append(&pool->finished, first);
		(void)uv_async_send(&pool->wake);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void deliver(uv_async_t *wake)
{
	struct password_pool *pool = wake->data;
	struct list finished;

	list_init(&finished);
	(void)pthread_mutex_lock(&pool->lock);
	list_splice(&finished, &pool->finished);
	(void)pthread_mutex_unlock(&pool->lock);
	while (!list_empty(&finished)) {
		struct password_job *job = list_entry(list_first(&finished), struct password_job, link);

		list_remove(&job->link);
		job->done(job);
	}
}

/* Signals are the loop thread's: a worker takes none. */
static int start_thread(struct password_pool *pool, pthread_t *thread)
{
	sigset_t all, old;
	int result;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	result = pthread_create(thread, NULL, worker, pool);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return result;
}

static void stop_threads(struct password_pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	(void)pthread_cond_broadcast(&pool->filled);
	(void)pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		(void)pthread_join(pool->threads[i], NULL);
}

static void closed(uv_handle_t *handle)
{
	struct password_pool *pool = handle->data;

	(void)pthread_cond_destroy(&pool->filled);
	(void)pthread_mutex_destroy(&pool->lock);
	free(pool);
}

struct password_pool *password_pool_new(uv_loop_t *loop, unsigned threads, unsigned queue)
{
	struct password_pool *pool = calloc(1, sizeof *pool + threads * sizeof *pool->threads);

	if (pool == NULL || uv_async_init(loop, &pool->wake, deliver) != 0) {
		free(pool);
		return NULL;
	}
	(void)pthread_mutex_init(&pool->lock, NULL);
	(void)pthread_cond_init(&pool->filled, NULL);
	list_init(&pool->waiting);
	list_init(&pool->working);
	list_init(&pool->finished);
	pool->most_waiting = queue;
	pool->wake.data = pool;
	while (pool->thread_count < threads && start_thread(pool, &pool->threads[pool->thread_count]) == 0)
		pool->thread_count++;
	if (pool->thread_count == 0) {
		password_pool_free(pool);
		return NULL;
	}
	return pool;
}

/* A connection's next job has the turn after its last one; one that had none waiting joins the present turn. */
static void enqueue(struct password_pool *pool, struct password_job *job, uint64_t *last_turn)
{
	struct list *before = pool->waiting.prev;

	job->turn = (*last_turn > pool->turn ? *last_turn : pool->turn) + 1;
	*last_turn = job->turn;
	while (before != &pool->waiting && list_entry(before, struct password_job, link)->turn > job->turn)
		before = before->prev;
	list_append(before->next, &job->link);
	pool->waiting_count++;
}

bool password_pool_submit(struct password_pool *pool, struct password_job *job, uint64_t *last_turn)
{
	bool taken;

	(void)pthread_mutex_lock(&pool->lock);
	taken = pool->waiting_count < pool->most_waiting;
	if (taken) {
		enqueue(pool, job, last_turn);
		(void)pthread_cond_signal(&pool->filled);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return taken;
}

void password_pool_stats(struct password_pool *pool, struct password_pool_stats *stats)
{
	(void)pthread_mutex_lock(&pool->lock);
	*stats = (struct password_pool_stats){pool->thread_count, pool->running, pool->waiting_count,
	                                      pool->hashed, pool->verified, pool->timeouts};
	(void)pthread_mutex_unlock(&pool->lock);
}

void password_pool_abandon(struct password_pool *pool, void (*running)(struct password_job *))
{
	struct list waiting;

	list_init(&waiting);
	(void)pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	list_splice(&waiting, &pool->waiting);
	pool->waiting_count = 0;
	list_for_each(node, &pool->working)
		running(list_entry(node, struct password_job, link));
	(void)pthread_mutex_unlock(&pool->lock);
	while (!list_empty(&waiting)) {
		struct password_job *job = list_entry(list_first(&waiting), struct password_job, link);

		list_remove(&job->link);
		(void)err_set(&job->err, ERR_SHUTTING_DOWN, "the daemon stopped before the password was worked on");
		job->done(job);
	}
}

void password_pool_free(struct password_pool *pool)
{
	if (pool == NULL)
		return;
	assert(list_empty(&pool->waiting) && list_empty(&pool->working) && list_empty(&pool->finished));
	stop_threads(pool);
	uv_close((uv_handle_t *)&pool->wake, closed);
}
