/* Polling for the next call before sleeping. Would catch: a loop that never sleeps, one that
 * polls without a reason, one that polls because of a client that has become idle. */
#include <sched.h>
#include <time.h>

#include "../../daemon/base/busy_poll.h"
#include "unit.h"

static uv_loop_t loop;
static struct busy_poll poll;

static bool looks(void)
{
	return uv_is_active((uv_handle_t *)&poll.idle) != 0;
}

/* One client's call after a pause, handled at once. */
static void call_after(long nanoseconds)
{
	busy_poll_before_wait(&poll, true);
	nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL);
	busy_poll_heard(&poll);
}

static void begin(uint64_t limit_us)
{
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	busy_poll_init(&poll, &loop, limit_us);
}

static void end(void)
{
	busy_poll_close(&poll);
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}

/* A limit of seconds stands for "in time", one of a microsecond for "too late". */
START_TEST(looks_after_some_quick_calls)
{
	begin(10000000);
	if (poll.limit != 0) {
		for (int i = 0; i < 4; i++) {
			call_after(0);
			ck_assert(!looks());
		}
		busy_poll_before_wait(&poll, true);
		ck_assert(looks());
		busy_poll_heard(&poll);
		busy_poll_before_wait(&poll, false); /* a thread executes it now */
		ck_assert(!looks());
		busy_poll_before_wait(&poll, true);
		ck_assert(looks());
	}
	end();
}
END_TEST

START_TEST(sleeps_when_the_time_is_over)
{
	begin(10000000);
	if (poll.limit != 0) {
		for (int i = 0; i < 8; i++)
			call_after(0);
		busy_poll_before_wait(&poll, true);
		ck_assert(looks());
		poll.limit = 1000;
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
		busy_poll_before_wait(&poll, true);
		ck_assert(!looks());
	}
	end();
}
END_TEST

START_TEST(slow_calls_cost_trust)
{
	begin(10000000);
	if (poll.limit != 0) {
		for (int i = 0; i < 40; i++)
			call_after(0);
		poll.limit = 1000;
		for (int i = 0; i < 3; i++)
			call_after(100000);
		poll.limit = 10000000000;
		busy_poll_before_wait(&poll, true);
		ck_assert(!looks());
	}
	end();
}
END_TEST

START_TEST(never_when_it_is_off)
{
	begin(0);
	for (int i = 0; i < 40; i++) {
		call_after(0);
		ck_assert(!looks());
	}
	end();
}
END_TEST

/* With a single processor, the client needs it. */
START_TEST(never_on_one_processor)
{
	cpu_set_t all, one;
	size_t first = 0;

	ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	begin(1000000);
	ck_assert_uint_eq(poll.limit, 0);
	end();
	ck_assert_int_eq(sched_setaffinity(0, sizeof all, &all), 0);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, looks_after_some_quick_calls);
	tcase_add_test(tests, sleeps_when_the_time_is_over);
	tcase_add_test(tests, slow_calls_cost_trust);
	tcase_add_test(tests, never_when_it_is_off);
	tcase_add_test(tests, never_on_one_processor);
	return unit_run("busy_poll", tests, true);
}
