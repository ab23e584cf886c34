/* The password threads. Would catch: jobs begun out of a connection's order, a connection that
 * delays the others, an unbounded queue, work after the timeout, an answer that waits for a
 * thread beyond it, a wrong result. */
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "../../daemon/calls/password_pool.h"
#include "unit.h"

/* Hashing with the cost HELD takes until the test ends it, so that nothing here depends on the
 * machine's speed. */
enum { COST = 4, HELD = 31, MAX = 64 };

static uv_loop_t loop;
static struct password_pool *pool;
static struct password_work jobs[MAX];
static struct password_result results[MAX];
static unsigned order[MAX], finished;
static sem_t let_go;

/* The linker replaces the first by the second in the pool (--wrap). */
int __real_password_hash(const char *password, unsigned cost, char out[PASSWORD_HASH_MAX],
	uint64_t *rounds, struct err *err);
int __wrap_password_hash(const char *password, unsigned cost, char out[PASSWORD_HASH_MAX],
	uint64_t *rounds, struct err *err);

int __wrap_password_hash(const char *password, unsigned cost, char out[PASSWORD_HASH_MAX],
	uint64_t *rounds, struct err *err)
{
	while (cost == HELD && sem_wait(&let_go) != 0)
		;
	return __real_password_hash(password, cost == HELD ? COST : cost, out, rounds, err);
}

static void on_done(void *owner, const struct password_result *result)
{
	unsigned place = (unsigned)((struct password_work *)owner - jobs);

	results[place] = *result;
	order[finished++] = place;
}

static void set_up(void)
{
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_int_eq(sem_init(&let_go, 0, 0), 0);
	finished = 0;
	for (unsigned i = 0; i < MAX; i++)
		jobs[i] = (struct password_work){
			.password = "password", .cost = COST, .done = on_done, .owner = &jobs[i]};
}

static void tear_down(void)
{
	password_pool_free(pool);
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static void submit(unsigned job, uint64_t *turn)
{
	struct err err;

	ck_assert_int_eq(password_pool_submit(pool, &jobs[job], turn, &err), 0);
}

/* UV_RUN_ONCE would wait without limit after timers that ran before it waits. */
static void run_until(unsigned count)
{
	while (finished < count) {
		(void)uv_run(&loop, UV_RUN_NOWAIT);
		uv_sleep(1);
	}
}

static struct password_pool_stats stats(void)
{
	struct password_pool_stats found;

	password_pool_stats(pool, &found);
	return found;
}

/* Makes a thread work on the job until it is released. time: nanoseconds that the job has,
 * extended when no thread begins it within that; 0: no limit. */
static void hold(unsigned job, uint64_t *turn, uint64_t time)
{
	jobs[job].cost = HELD;
	do {
		finished = 0;
		jobs[job].deadline = time > 0 ? uv_hrtime() + time : 0;
		submit(job, turn);
		while (stats().running == 0 && finished == 0) {
			(void)uv_run(&loop, UV_RUN_NOWAIT);
			uv_sleep(1);
		}
		time *= 2;
	} while (stats().running == 0);
}

START_TEST(hash_and_verify)
{
	uint64_t turn = 0;

	pool = password_pool_new(&loop, 2, 10);
	submit(0, &turn);
	run_until(1);
	ck_assert_int_eq(results[0].err.kind, ERR_NONE);
	ck_assert_int_eq(strncmp(results[0].hash, "$2b$04$", 7), 0);
	for (unsigned i = 1; i <= 4; i++) {
		jobs[i].verify = true;
		jobs[i].stored = i == 4 ? NULL : results[0].hash;
		jobs[i].password = i == 2 ? "passwore" : i == 3 ? "" : "password";
		submit(i, &turn);
	}
	run_until(5);
	ck_assert(results[1].matches);
	ck_assert(!results[2].matches);
	ck_assert(!results[3].matches);
	ck_assert(!results[4].matches);
}
END_TEST

/* One connection sends 20, then another one sends 2, which are executed among the first. */
START_TEST(connections_take_turns)
{
	uint64_t many = 0, few = 0;
	unsigned place[MAX] = {0};

	pool = password_pool_new(&loop, 1, MAX);
	hold(MAX - 1, &(uint64_t){0}, 0); /* the only thread, while the others are sent */
	for (unsigned i = 0; i < 20; i++)
		submit(i, &many);
	for (unsigned i = 20; i < 22; i++)
		submit(i, &few);
	ck_assert_int_eq(sem_post(&let_go), 0);
	run_until(23);
	for (unsigned i = 0; i < 23; i++)
		place[order[i]] = i;
	for (unsigned i = 1; i < 20; i++)
		ck_assert_uint_gt(place[i], place[i - 1]);
	ck_assert_uint_gt(place[21], place[20]);
	ck_assert_uint_le(place[20], 3);
	ck_assert_uint_le(place[21], 5);
}
END_TEST

START_TEST(the_queue_is_bounded)
{
	uint64_t turn = 0;
	unsigned taken = 1;
	struct err err;

	pool = password_pool_new(&loop, 1, 5);
	hold(0, &turn, 0);
	while (taken < MAX && password_pool_submit(pool, &jobs[taken], &turn, &err) == 0)
		taken++;
	ck_assert_uint_eq(taken, 1 + 5);
	ck_assert_uint_eq(stats().queued, 5);
	ck_assert_int_eq(err.kind, ERR_UNAVAILABLE);
	ck_assert_int_eq(err.outcome, OUTCOME_NONE);
	ck_assert_int_eq(sem_post(&let_go), 0);
	run_until(taken);
	submit(taken, &turn);
	run_until(taken + 1);
}
END_TEST

START_TEST(late_ones_are_not_worked_on)
{
	uint64_t turn = 0;

	pool = password_pool_new(&loop, 1, 10);
	jobs[0].deadline = uv_hrtime() - 1;
	jobs[1].deadline = uv_hrtime() + UINT64_C(60000000000);
	submit(0, &turn);
	submit(1, &turn);
	run_until(2);
	ck_assert_int_eq(results[0].err.kind, ERR_TIMEOUT);
	ck_assert_int_eq(results[0].err.outcome, OUTCOME_NONE);
	ck_assert_int_eq(results[1].err.kind, ERR_NONE);
	ck_assert_uint_eq(stats().timeouts, 1);
	ck_assert_uint_eq(stats().hashed, 1);
	ck_assert_uint_eq(stats().queued, 0);
}
END_TEST

/* A job in progress, and those behind it, are returned in time. The thread discards its result
 * and takes the next job. */
START_TEST(deadlines_do_not_wait_for_a_thread)
{
	uint64_t turn = 0;

	pool = password_pool_new(&loop, 1, 10);
	hold(0, &turn, 0);
	for (unsigned i = 1; i < 3; i++) {
		jobs[i].deadline = uv_hrtime() + i * UINT64_C(10000000);
		submit(i, &turn);
	}
	submit(3, &turn);
	run_until(2);
	ck_assert_uint_eq(stats().running, 1);
	ck_assert_uint_eq(stats().queued, 1);
	ck_assert_uint_eq(stats().timeouts, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(order[i], i + 1);
		ck_assert_int_eq(results[i + 1].err.kind, ERR_TIMEOUT);
		ck_assert_int_eq(results[i + 1].err.outcome, OUTCOME_NONE);
	}
	ck_assert_int_eq(sem_post(&let_go), 0);
	run_until(4);
	ck_assert_uint_eq(order[2], 0);
	ck_assert_uint_eq(stats().hashed, 2);
}
END_TEST

START_TEST(what_is_worked_on_is_given_back_too)
{
	uint64_t turn = 0;

	pool = password_pool_new(&loop, 1, 10);
	hold(0, &turn, UINT64_C(50000000));
	submit(1, &turn);
	run_until(1);
	ck_assert_int_eq(results[0].err.kind, ERR_TIMEOUT);
	ck_assert_uint_eq(stats().running, 1);
	ck_assert_uint_eq(stats().queued, 1);
	ck_assert_int_eq(sem_post(&let_go), 0);
	run_until(2);
	ck_assert_uint_eq(order[1], 1);
	ck_assert_uint_eq(stats().hashed, 2);
	ck_assert_uint_eq(finished, 2);
}
END_TEST

/* Every job is cancelled, including those in progress, and no further one is accepted. */
START_TEST(abandoned)
{
	uint64_t turn = 0;
	struct err err;

	pool = password_pool_new(&loop, 1, 10);
	hold(0, &turn, 0);
	submit(1, &turn);
	password_pool_abandon(pool);
	ck_assert_uint_eq(finished, 2);
	ck_assert_int_eq(results[0].err.kind, ERR_SHUTTING_DOWN);
	ck_assert_int_eq(results[1].err.kind, ERR_SHUTTING_DOWN);
	ck_assert_int_eq(password_pool_submit(pool, &jobs[2], &turn, &err), -1);
	ck_assert_int_eq(err.kind, ERR_SHUTTING_DOWN);
	ck_assert_int_eq(sem_post(&let_go), 0);
	while (stats().running > 0)
		uv_sleep(1);
}
END_TEST

static uint64_t rounds_of_check(
	const char *password, const char *hash, unsigned cost, bool expected)
{
	uint64_t rounds = 0;
	bool matches = !expected;
	struct err err;

	ck_assert_int_eq(password_verify(password, hash, cost, &matches, &rounds, &err), 0);
	ck_assert_int_eq(matches, expected);
	return rounds;
}

/* Any stored value: cheaper hashes, costlier ones, texts that are not hashes, nothing. */
START_TEST(every_check_does_the_same_work)
{
	static const char *const others[] = {
		"$2b$31$abcdefghijklmnopqrstuuO8d3Ff0p3Ymq0v1pWmJp1iQv3o9Ye2S",
		"$2b$32$abcdefghijklmnopqrstuuO8d3Ff0p3Ymq0v1pWmJp1iQv3o9Ye2S",
		"$2b$03$abcdefghijklmnopqrstuuO8d3Ff0p3Ymq0v1pWmJp1iQv3o9Ye2S",
		"$2x$04$abcdefghijklmnopqrstuuO8d3Ff0p3Ymq0v1pWmJp1iQv3o9Ye2S",
		"$2b$04$abcdefghijklmnopqrstuu\xc3\xa9O8d3Ff0p3Ymq0v1pWmJp1iQv3o9Y2S",
		"$2b$04$",
		"",
		"plain",
	};
	char hash[PASSWORD_HASH_MAX];
	uint64_t rounds = 0;
	struct err err;

	pool = NULL;
	for (unsigned cost = COST; cost <= COST + 4; cost++) {
		ck_assert_int_eq(password_hash("password", cost, hash, &rounds, &err), 0);
		ck_assert_uint_eq(rounds_of_check("password", hash, COST + 3, cost <= COST + 3),
			1 << (COST + 3));
		ck_assert_uint_eq(
			rounds_of_check("passwore", hash, COST + 3, false), 1 << (COST + 3));
	}
	ck_assert_uint_eq(rounds, (1 << (COST + 5)) - (1 << COST));
	for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
		ck_assert_uint_eq(
			rounds_of_check("password", others[i], COST + 3, false), 1 << (COST + 3));
	ck_assert_uint_eq(rounds_of_check("password", NULL, COST + 3, false), 1 << (COST + 3));
}
END_TEST

/* Longer than libcrypt's own limit (511 bytes), too. */
START_TEST(bytes_behind_the_72nd_do_not_count)
{
	char hash[PASSWORD_HASH_MAX], password[2001];
	uint64_t rounds = 0;
	struct err err;

	pool = NULL;
	memset(password, 'p', sizeof password);
	password[PASSWORD_MAX] = '\0';
	ck_assert_int_eq(password_hash(password, COST, hash, &rounds, &err), 0);
	(void)rounds_of_check(password, hash, COST, true);
	password[PASSWORD_MAX] = 'x';
	password[PASSWORD_MAX + 1] = '\0';
	(void)rounds_of_check(password, hash, COST, true);
	password[PASSWORD_MAX - 1] = 'x';
	(void)rounds_of_check(password, hash, COST, false);
	password[PASSWORD_MAX - 1] = password[PASSWORD_MAX + 1] = 'p';
	password[sizeof password - 1] = '\0';
	(void)rounds_of_check(password, hash, COST, true);
	password[PASSWORD_MAX - 1] = '\0';
	(void)rounds_of_check(password, hash, COST, false);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, hash_and_verify);
	tcase_add_test(tests, connections_take_turns);
	tcase_add_test(tests, the_queue_is_bounded);
	tcase_add_test(tests, late_ones_are_not_worked_on);
	tcase_add_test(tests, deadlines_do_not_wait_for_a_thread);
	tcase_add_test(tests, what_is_worked_on_is_given_back_too);
	tcase_add_test(tests, abandoned);
	tcase_add_test(tests, every_check_does_the_same_work);
	tcase_add_test(tests, bytes_behind_the_72nd_do_not_count);
	return unit_run("password_pool", tests, true);
}
