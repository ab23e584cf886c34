/* The password threads. Would catch: jobs begun out of a connection's order, a connection that keeps the others waiting, a queue
 * without bound, work after the deadline, a wrong verdict. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../daemon/password_pool.h"

enum { COST = 4, MOST = 64 };

static uv_loop_t loop;
static struct password_pool *pool;
static struct password_job jobs[MOST];
static unsigned order[MOST], finished;

static void on_done(struct password_job *job)
{
	order[finished++] = (unsigned)(job - jobs);
}

static void set_up(void)
{
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	finished = 0;
	memset(jobs, 0, sizeof jobs);
	for (unsigned i = 0; i < MOST; i++) {
		list_init(&jobs[i].link);
		jobs[i].password = "password";
		jobs[i].cost = COST;
		jobs[i].done = on_done;
	}
}

static void tear_down(void)
{
	password_pool_free(pool);
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static void run_until(unsigned count)
{
	while (finished < count)
		(void)uv_run(&loop, UV_RUN_ONCE);
}

START_TEST(hash_and_verify)
{
	uint64_t turn = 0;

	pool = password_pool_new(&loop, 2, 10);
	ck_assert(password_pool_submit(pool, &jobs[0], &turn));
	run_until(1);
	ck_assert_int_eq(jobs[0].err.kind, ERR_NONE);
	ck_assert_int_eq(strncmp(jobs[0].hash, "$2b$04$", 7), 0);
	for (unsigned i = 1; i <= 4; i++) {
		jobs[i].verify = true;
		jobs[i].stored = i == 4 ? NULL : jobs[0].hash;
		jobs[i].password = i == 2 ? "passwore" : i == 3 ? "" : "password";
		ck_assert(password_pool_submit(pool, &jobs[i], &turn));
	}
	run_until(5);
	ck_assert(jobs[1].matches);
	ck_assert(!jobs[2].matches);
	ck_assert(!jobs[3].matches);
	ck_assert(!jobs[4].matches);
}
END_TEST

/* One connection sends 20, then another one 2: the other's come among the first. */
START_TEST(connections_take_turns)
{
	uint64_t many = 0, few = 0;
	unsigned place[MOST] = {0};

	jobs[MOST - 1].cost = 9; /* keeps the only thread busy while the others are sent */
	pool = password_pool_new(&loop, 1, MOST);
	ck_assert(password_pool_submit(pool, &jobs[MOST - 1], &(uint64_t){0}));
	for (unsigned i = 0; i < 20; i++)
		ck_assert(password_pool_submit(pool, &jobs[i], &many));
	for (unsigned i = 20; i < 22; i++)
		ck_assert(password_pool_submit(pool, &jobs[i], &few));
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
	unsigned taken = 0;

	for (unsigned i = 0; i < MOST; i++)
		jobs[i].cost = 6;
	pool = password_pool_new(&loop, 1, 5);
	while (taken < MOST && password_pool_submit(pool, &jobs[taken], &turn))
		taken++;
	ck_assert_uint_ge(taken, 5);
	ck_assert_uint_lt(taken, MOST);
	run_until(taken);
	ck_assert(password_pool_submit(pool, &jobs[taken], &turn));
	run_until(taken + 1);
}
END_TEST

START_TEST(late_ones_are_not_worked_on)
{
	uint64_t turn = 0;
	struct password_pool_stats stats;

	pool = password_pool_new(&loop, 1, 10);
	jobs[0].deadline = uv_hrtime() - 1;
	jobs[1].deadline = uv_hrtime() + UINT64_C(60000000000);
	ck_assert(password_pool_submit(pool, &jobs[0], &turn));
	ck_assert(password_pool_submit(pool, &jobs[1], &turn));
	run_until(2);
	ck_assert_int_eq(jobs[0].err.kind, ERR_TIMEOUT);
	ck_assert_int_eq(jobs[0].err.outcome, OUTCOME_NONE);
	ck_assert_int_eq(jobs[1].err.kind, ERR_NONE);
	password_pool_stats(pool, &stats);
	ck_assert_uint_eq(stats.timeouts, 1);
	ck_assert_uint_eq(stats.hashed, 1);
	ck_assert_uint_eq(stats.queued, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("password_pool");
	TCase *tests = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, hash_and_verify);
	tcase_add_test(tests, connections_take_turns);
	tcase_add_test(tests, the_queue_is_bounded);
	tcase_add_test(tests, late_ones_are_not_worked_on);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
