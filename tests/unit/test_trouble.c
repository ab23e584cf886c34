/* What the log says of trouble that lasts. Would catch: a line for each failure, trouble that is told once and never again, a new cause that
 * is not told, a count that is off. */
#include <string.h>

#include "unit.h"

#include "../../backends/trouble.h"

#define SECOND UINT64_C(1000000000)

static struct trouble trouble;

START_TEST(the_same_each_half_minute)
{
	unsigned told = 0;

	trouble = (struct trouble){0};
	for (uint64_t i = 0; i < 6000; i++)
		told += trouble_note(&trouble, "the disk is full", 5 * SECOND + i * SECOND / 10);
	ck_assert_uint_eq(told, 20); /* in ten minutes */
	ck_assert_uint_eq(trouble.failures, 6000);
}
END_TEST

START_TEST(another_cause_is_told)
{
	trouble = (struct trouble){0};
	ck_assert(trouble_note(&trouble, "gone", SECOND));
	ck_assert(trouble_note(&trouble, "refused", SECOND + 1));
	ck_assert(!trouble_note(&trouble, "gone", SECOND + SECOND / 2));
	ck_assert(trouble_note(&trouble, "gone", 3 * SECOND));
	ck_assert(!trouble_note(&trouble, "gone", 30 * SECOND));
	ck_assert(trouble_note(&trouble, "refused", 31 * SECOND));
}
END_TEST

START_TEST(the_end_forgets)
{
	trouble = (struct trouble){0};
	ck_assert(trouble_note(&trouble, "gone", SECOND));
	ck_assert(!trouble_note(&trouble, "gone", SECOND + 1));
	ck_assert_uint_eq(trouble_end(&trouble), 2);
	ck_assert(trouble_note(&trouble, "gone", SECOND + 2));
	ck_assert_uint_eq(trouble_end(&trouble), 1);
	ck_assert_uint_eq(trouble_end(&trouble), 0);
}
END_TEST

/* A text longer than what is kept of it is still the same text. */
START_TEST(long_texts)
{
	char text[2 * ERR_MESSAGE_MAX];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	trouble = (struct trouble){0};
	ck_assert(trouble_note(&trouble, text, SECOND));
	ck_assert(!trouble_note(&trouble, text, 10 * SECOND));
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("trouble");

	tcase_add_test(tests, the_same_each_half_minute);
	tcase_add_test(tests, another_cause_is_told);
	tcase_add_test(tests, the_end_forgets);
	tcase_add_test(tests, long_texts);
	return unit_run("trouble", tests, true);
}
