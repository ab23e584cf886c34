/* Positions of a database. Would catch: a text that is taken for a position, a number that
 * overflows, a position of another database or timeline that counts as reached. */
#include <string.h>

#include "unit.h"

#include "../../backends/position.h"

#define NAME "0123456789abcdef0123456789abcdef"

static bool parses(const char *text)
{
	struct position position;

	return position_parse(&position, text, strlen(text));
}

static enum position_order compared(const char *wanted, const char *now)
{
	struct position first, second;

	ck_assert(position_parse(&first, wanted, strlen(wanted)));
	ck_assert(position_parse(&second, now, strlen(now)));
	return position_compare(&first, &second);
}

START_TEST(forms)
{
	struct position position;

	ck_assert(parses("sqlite-" NAME));
	ck_assert(position_parse(&position, "primary-ffffffffffffffff-5-02-a7xx", 32));
	ck_assert_int_eq(position.kind, POSITION_PRIMARY);
	ck_assert_uint_eq(position.database[0], UINT64_MAX);
	ck_assert_uint_eq(position.database[1], 5);
	ck_assert_uint_eq(position.timeline, 2);
	ck_assert_uint_eq(position.log, 0xa7);
	ck_assert(parses("standby-1-2-3-4"));
}
END_TEST

START_TEST(other_texts)
{
	static const char *const texts[] = {"", "-", "sqlite", "sqlite-", "sqlite-" NAME "0",
		"sqlite-0123456789abcdef0123456789abcde", "sqlite-0123456789ABCDEF0123456789ABCDEF",
		"sqlite-0123456789abcdef-0123456789abcde", "Primary-1-2-3-4", "primary-1-2-3",
		"primary-1-2-3-", "primary-1-2-3-4-", "primary-1-2-3-4-5", "primary--1-2-3-4",
		"primary-1-2-3-4 ", " primary-1-2-3-4", "primary-1-2-3-0x4", "primary-1-2-3-4.0",
		"primary-10000000000000000-2-3-4", "primary-1-2-3-A",
		"standby-1-2-3-00000000000000004"};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		ck_assert_msg(!parses(texts[i]), "%s", texts[i]);
}
END_TEST

START_TEST(order)
{
	ck_assert_int_eq(compared("sqlite-" NAME, "sqlite-" NAME), POSITION_REACHED);
	ck_assert_int_eq(compared("primary-1-2-3-4", "primary-1-2-3-4"), POSITION_REACHED);
	ck_assert_int_eq(compared("primary-1-2-3-4", "standby-1-2-3-5"), POSITION_REACHED);
	ck_assert_int_eq(compared("primary-1-2-3-5", "standby-1-2-3-4"), POSITION_BEHIND);
	ck_assert_int_eq(compared("standby-1-2-3-5", "primary-1-2-3-4"), POSITION_BEHIND);
}
END_TEST

START_TEST(another_database)
{
	static const char *const others[] = {
		("sqlite-" NAME), "primary-1-3-3-9", "primary-2-2-3-9", "standby-2-2-3-1"};

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		ck_assert_int_eq(compared(others[i], "primary-1-2-3-4"), POSITION_FOREIGN);
		ck_assert_int_eq(compared("primary-1-2-3-4", others[i]), POSITION_FOREIGN);
	}
	ck_assert_int_eq(compared("sqlite-" NAME, "sqlite-1123456789abcdef0123456789abcdef"),
		POSITION_FOREIGN);
	ck_assert_int_eq(compared("sqlite-" NAME, "sqlite-0123456789abcdef0123456789abcdee"),
		POSITION_FOREIGN);
}
END_TEST

/* The timeline that a standby reports may be older than its own, never newer. */
START_TEST(another_timeline)
{
	ck_assert_int_eq(compared("primary-1-2-3-4", "primary-1-2-4-9"), POSITION_FORKED);
	ck_assert_int_eq(compared("primary-1-2-4-4", "primary-1-2-3-9"), POSITION_FORKED);
	ck_assert_int_eq(compared("standby-1-2-3-4", "primary-1-2-4-9"), POSITION_FORKED);
	ck_assert_int_eq(compared("primary-1-2-3-4", "standby-1-2-4-9"), POSITION_FORKED);
	ck_assert_int_eq(compared("primary-1-2-4-4", "standby-1-2-3-9"), POSITION_REACHED);
	ck_assert_int_eq(compared("primary-1-2-4-9", "standby-1-2-3-4"), POSITION_BEHIND);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("position");

	tcase_add_test(tests, forms);
	tcase_add_test(tests, other_texts);
	tcase_add_test(tests, order);
	tcase_add_test(tests, another_database);
	tcase_add_test(tests, another_timeline);
	return unit_run("position", tests, true);
}
