#include "password_pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/list.h"

struct password_job {
	struct list link;
	size_t size; /* bytes of the job, texts included */
	struct password_work work;
	struct password_result result; /* owned by the working thread until finished */
	uint64_t cycle;                /* lower ones begin first */
	bool returned;                 /* the thread's result is discarded */
	char texts[];
};

struct password_pool {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	/* under the lock; each job is in one of these lists */
	struct list waiting, working, finished;
	unsigned waiting_count, running, max_waiting;
	uint64_t cycle; /* of the job begun last */
	bool stopping;
	uint64_t hashed, verified, timeouts, rounds;
	uv_async_t wake;
	uv_timer_t timer; /* the next deadline */
	uint64_t due;     /* expiry of the timer; 0: not set. Loop thread only */
	unsigned handles; /* not closed yet */
	unsigned thread_count;
	pthread_t threads[];
};

size_t password_pool_bytes(const struct password_work *work)
{
	return sizeof(struct password_job) + strlen(work->password) + 1 +
		(work->stored != NULL ? strlen(work->stored) + 1 : 0);
}

static struct password_job *job_new(const struct password_work *work)
{
	size_t password = strlen(work->password) + 1,
	       stored = work->stored != NULL ? strlen(work->stored) + 1 : 0;
	struct password_job *job = calloc(1, sizeof *job + password + stored);

	if (job == NULL)
		return NULL;
	job->size = sizeof *job + password + stored;
	job->work = *work;
	job->work.password = memcpy(job->texts, work->password, password);
	if (stored > 0)
		job->work.stored = memcpy(job->texts + password, work->stored, stored);
	list_init(&job->link);
	return job;
}

static void password_pool_job_free(struct password_job *job)
{
	explicit_bzero(job, job->size);
	free(job);
}

static bool is_late(const struct password_job *job, uint64_t now)
{
	return job->work.deadline != 0 && now >= job->work.deadline;
}

static void out_of_time(struct password_result *result)
{
	(void)err_set(&result->err, ERR_TIMEOUT,
		"the call's time ran out before its password was processed");
	result->err.outcome = OUTCOME_NONE;
}

static void password_pool_work(struct password_job *job)
{
	struct password_result *result = &job->result;

	if (job->work.verify)
		(void)password_verify(job->work.password, job->work.stored, job->work.cost,
			&result->matches, &result->rounds, &result->err);
	else
		(void)password_hash(job->work.password, job->work.cost, result->hash,
			&result->rounds, &result->err);
}

/* Called with the lock, which it releases during the work. */
static void run_job(struct password_pool *pool, struct password_job *job)
{
	if (is_late(job, uv_hrtime())) {
		out_of_time(&job->result);
		pool->timeouts++;
		return;
	}
	pool->running++;
	(void)pthread_mutex_unlock(&pool->lock);
	password_pool_work(job);
	(void)pthread_mutex_lock(&pool->lock);
	pool->running--;
	pool->rounds += job->result.rounds;
	if (job->work.verify)
		pool->verified++;
	else
		pool->hashed++;
}

static void *worker(void *argument)
{
	struct password_pool *pool = argument;

	(void)pthread_mutex_lock(&pool->lock);
	while (!pool->stopping) {
		struct password_job *job;

		if (list_empty(&pool->waiting)) {
			(void)pthread_cond_wait(&pool->filled, &pool->lock);
			continue;
		}
		job = list_entry(list_first(&pool->waiting), struct password_job, link);
		list_remove(&job->link);
		pool->waiting_count--;
		pool->cycle = job->cycle;
		list_append(&pool->working, &job->link);
		run_job(pool, job);
		list_remove(&job->link);
		if (job->returned) {
			password_pool_job_free(job);
			continue;
		}
		list_append(&pool->finished, &job->link);
		(void)uv_async_send(&pool->wake);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void password_pool_deliver(uv_async_t *wake)
{
	struct password_pool *pool = wake->data;
	struct list finished;

	list_init(&finished);
	(void)pthread_mutex_lock(&pool->lock);
	list_splice(&finished, &pool->finished);
	(void)pthread_mutex_unlock(&pool->lock);
	while (!list_empty(&finished)) {
		struct password_job *job =
			list_entry(list_first(&finished), struct password_job, link);

		list_remove(&job->link);
		job->work.done(job->work.owner, &job->result);
		password_pool_job_free(job);
	}
}

/* Takes one running job back from its owner; false when there is none. now: a late one; 0: any. */
static bool take_working(struct password_pool *pool, uint64_t now, struct password_work *taken)
{
	bool found = false;

	(void)pthread_mutex_lock(&pool->lock);
	list_for_each (node, &pool->working) {
		struct password_job *job = list_entry(node, struct password_job, link);

		if (job->returned || (now != 0 && !is_late(job, now)))
			continue;
		*taken = job->work;
		job->returned = found = true;
		break;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return found;
}

/* Selects jobs: those that are late at that time (0: all), or those of a client. */
struct choice {
	uint64_t now;
	const void *client;
};

static bool is_chosen(const struct password_job *job, const struct choice *choice)
{
	if (choice->client != NULL)
		return job->work.client == choice->client;
	return choice->now == 0 || is_late(job, choice->now);
}

/* Ends the selected waiting jobs with that result. Returns their number. */
static unsigned end_waiting(struct password_pool *pool, const struct choice *choice,
	const struct password_result *result)
{
	struct list chosen;
	unsigned count = 0;

	list_init(&chosen);
	(void)pthread_mutex_lock(&pool->lock);
	list_for_each_safe (node, &pool->waiting) {
		if (!is_chosen(list_entry(node, struct password_job, link), choice))
			continue;
		list_remove(node);
		list_append(&chosen, node);
		pool->waiting_count--;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	for (; !list_empty(&chosen); count++) {
		struct password_job *job =
			list_entry(list_first(&chosen), struct password_job, link);

		list_remove(&job->link);
		job->work.done(job->work.owner, result);
		password_pool_job_free(job);
	}
	return count;
}

/* Returns waiting and running jobs with that result. now: only late ones; 0: all. Returns their
 * number. */
static unsigned password_pool_return(
	struct password_pool *pool, uint64_t now, const struct password_result *result)
{
	struct password_work taken;
	unsigned count = 0;

	for (; take_working(pool, now, &taken); count++)
		taken.done(taken.owner, result);
	return count + end_waiting(pool, &(struct choice){.now = now}, result);
}

void password_pool_drop(struct password_pool *pool, const void *client)
{
	struct password_result result = {.dropped = true};

	(void)err_set(&result.err, ERR_UNAVAILABLE, "the client has disconnected");
	(void)end_waiting(pool, &(struct choice){.client = client}, &result);
}

static void password_pool_on_timer(uv_timer_t *timer);

static void password_pool_watch(struct password_pool *pool, uint64_t deadline)
{
	uint64_t now = uv_hrtime();

	if (deadline == 0 || (pool->due != 0 && pool->due <= deadline))
		return;
	pool->due = deadline;
	uv_update_time(pool->timer.loop);
	(void)uv_timer_start(&pool->timer, password_pool_on_timer,
		deadline > now ? (deadline - now) / 1000000 + 1 : 0, 0);
}

static uint64_t earliest(const struct list *jobs, uint64_t found)
{
	list_for_each (node, jobs) {
		const struct password_job *job = list_entry(node, struct password_job, link);

		if (!job->returned && job->work.deadline != 0 &&
			(found == 0 || job->work.deadline < found))
			found = job->work.deadline;
	}
	return found;
}

static void password_pool_on_timer(uv_timer_t *timer)
{
	struct password_pool *pool = timer->data;
	struct password_result late = {.err.kind = ERR_NONE};
	uint64_t next;
	unsigned count;

	pool->due = 0;
	out_of_time(&late);
	count = password_pool_return(pool, uv_hrtime(), &late);
	(void)pthread_mutex_lock(&pool->lock);
	pool->timeouts += count;
	next = earliest(&pool->working, earliest(&pool->waiting, 0));
	(void)pthread_mutex_unlock(&pool->lock);
	password_pool_watch(pool, next);
}

/* Signals belong to the loop thread: workers block them. */
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

/* False: some threads still work on returned jobs. */
static bool stop_threads(struct password_pool *pool)
{
	bool busy;

	(void)pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	busy = pool->running > 0;
	(void)pthread_cond_broadcast(&pool->filled);
	(void)pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count && !busy; i++)
		(void)pthread_join(pool->threads[i], NULL);
	return !busy;
}

static void closed(uv_handle_t *handle)
{
	struct password_pool *pool = handle->data;

	if (--pool->handles > 0)
		return;
	(void)pthread_cond_destroy(&pool->filled);
	(void)pthread_mutex_destroy(&pool->lock);
	free(pool);
}

struct password_pool *password_pool_new(uv_loop_t *loop, unsigned threads, unsigned queue)
{
	struct password_pool *pool = calloc(1, sizeof *pool + threads * sizeof *pool->threads);

	if (pool == NULL || uv_async_init(loop, &pool->wake, password_pool_deliver) != 0) {
		free(pool);
		return NULL;
	}
	(void)uv_timer_init(loop, &pool->timer);
	(void)pthread_mutex_init(&pool->lock, NULL);
	(void)pthread_cond_init(&pool->filled, NULL);
	list_init(&pool->waiting);
	list_init(&pool->working);
	list_init(&pool->finished);
	pool->max_waiting = queue;
	pool->wake.data = pool->timer.data = pool;
	pool->handles = 2;
	while (pool->thread_count < threads &&
		start_thread(pool, &pool->threads[pool->thread_count]) == 0)
		pool->thread_count++;
	if (pool->thread_count == 0) {
		password_pool_free(pool);
		return NULL;
	}
	return pool;
}

/* A connection's next job gets the cycle after its last one's. A connection without waiting jobs
 * joins the current cycle. */
static void password_pool_enqueue(
	struct password_pool *pool, struct password_job *job, uint64_t *last_cycle)
{
	struct list *before = pool->waiting.prev;

	job->cycle = (*last_cycle > pool->cycle ? *last_cycle : pool->cycle) + 1;
	*last_cycle = job->cycle;
	while (before != &pool->waiting &&
		list_entry(before, struct password_job, link)->cycle > job->cycle)
		before = before->prev;
	list_append(before->next, &job->link);
	pool->waiting_count++;
}

/* Removes the last queued job if its cycle is later than that of a new job on this connection. */
static struct password_job *make_room(struct password_pool *pool, uint64_t last_cycle)
{
	struct password_job *last = list_entry(pool->waiting.prev, struct password_job, link);
	uint64_t cycle = (last_cycle > pool->cycle ? last_cycle : pool->cycle) + 1;

	if (list_empty(&pool->waiting) || last->cycle <= cycle)
		return NULL;
	list_remove(&last->link);
	pool->waiting_count--;
	return last;
}

static int too_many(struct err *err)
{
	(void)err_set(err, ERR_UNAVAILABLE, "too many passwords wait to be processed");
	err->outcome = OUTCOME_NONE;
	return -1;
}

int password_pool_submit(struct password_pool *pool, const struct password_work *work,
	uint64_t *last_cycle, struct err *err)
{
	struct password_job *job = job_new(work), *displaced;
	bool full, stopping;

	if (job == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	(void)pthread_mutex_lock(&pool->lock);
	stopping = pool->stopping;
	if (pool->waiting_count >= pool->max_waiting && !stopping &&
		(displaced = make_room(pool, *last_cycle)) != NULL) {
		/* Its done() runs in a loop iteration, never inside submit. */
		(void)too_many(&displaced->result.err);
		list_append(&pool->finished, &displaced->link);
		(void)uv_async_send(&pool->wake);
	}
	full = pool->waiting_count >= pool->max_waiting;
	if (!full && !stopping) {
		password_pool_enqueue(pool, job, last_cycle);
		(void)pthread_cond_signal(&pool->filled);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	if (!full && !stopping) {
		password_pool_watch(pool, work->deadline);
		return 0;
	}
	password_pool_job_free(job);
	if (!stopping)
		return too_many(err);
	(void)err_set(
		err, ERR_SHUTTING_DOWN, "the daemon stopped before the password was processed");
	err->outcome = OUTCOME_NONE;
	return -1;
}

void password_pool_stats(struct password_pool *pool, struct password_pool_stats *stats)
{
	(void)pthread_mutex_lock(&pool->lock);
	*stats = (struct password_pool_stats){pool->thread_count, pool->running,
		pool->waiting_count, pool->hashed, pool->verified, pool->timeouts, pool->rounds};
	(void)pthread_mutex_unlock(&pool->lock);
}

void password_pool_abandon(struct password_pool *pool)
{
	struct password_result result = {.err.kind = ERR_NONE};

	(void)pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	(void)pthread_mutex_unlock(&pool->lock);
	password_pool_deliver(&pool->wake);
	(void)err_set(&result.err, ERR_SHUTTING_DOWN,
		"the daemon stopped before the password was processed");
	result.err.outcome = OUTCOME_NONE;
	(void)password_pool_return(pool, 0, &result);
}

void password_pool_free(struct password_pool *pool)
{
	if (pool == NULL)
		return;
	assert(list_empty(&pool->waiting) && list_empty(&pool->finished));
	if (!stop_threads(pool))
		pool->handles++; /* keeps it valid for the last thread */
	uv_close((uv_handle_t *)&pool->timer, closed);
	uv_close((uv_handle_t *)&pool->wake, closed);
}
