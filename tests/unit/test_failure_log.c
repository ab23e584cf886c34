/* The log of lasting failures. Would catch: a line for each failure, a failure that is logged
 * once and never again, a new cause that is not logged, a wrong count. */
#include <string.h>

#include "unit.h"

#include "../../backends/failure_log.h"

#define SECOND UINT64_C(1000000000)

static struct failure_log failure_log;

START_TEST(the_same_each_half_minute)
{
	unsigned logged = 0;

	failure_log = (struct failure_log){0};
	for (uint64_t i = 0; i < 6000; i++)
		logged += failure_log_note(
			&failure_log, "the disk is full", 5 * SECOND + i * SECOND / 10);
	ck_assert_uint_eq(logged, 20); /* in ten minutes */
	ck_assert_uint_eq(failure_log.failures, 6000);
}
END_TEST

START_TEST(another_cause_is_logged)
{
	failure_log = (struct failure_log){0};
	ck_assert(failure_log_note(&failure_log, "gone", SECOND));
	ck_assert(failure_log_note(&failure_log, "refused", SECOND + 1));
	ck_assert(!failure_log_note(&failure_log, "gone", SECOND + SECOND / 2));
	ck_assert(failure_log_note(&failure_log, "gone", 3 * SECOND));
	ck_assert(!failure_log_note(&failure_log, "gone", 30 * SECOND));
	ck_assert(failure_log_note(&failure_log, "refused", 31 * SECOND));
}
END_TEST

START_TEST(the_end_forgets)
{
	failure_log = (struct failure_log){0};
	ck_assert(failure_log_note(&failure_log, "gone", SECOND));
	ck_assert(!failure_log_note(&failure_log, "gone", SECOND + 1));
	ck_assert_uint_eq(failure_log_end(&failure_log), 2);
	ck_assert(failure_log_note(&failure_log, "gone", SECOND + 2));
	ck_assert_uint_eq(failure_log_end(&failure_log), 1);
	ck_assert_uint_eq(failure_log_end(&failure_log), 0);
}
END_TEST

/* A text longer than its stored part still counts as the same text. */
START_TEST(long_texts)
{
	char text[2 * ERR_MESSAGE_MAX];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	failure_log = (struct failure_log){0};
	ck_assert(failure_log_note(&failure_log, text, SECOND));
	ck_assert(!failure_log_note(&failure_log, text, 10 * SECOND));
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("failure log");

	tcase_add_test(tests, the_same_each_half_minute);
	tcase_add_test(tests, another_cause_is_logged);
	tcase_add_test(tests, the_end_forgets);
	tcase_add_test(tests, long_texts);
	return unit_run("failure log", tests, true);
}
