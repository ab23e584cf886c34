/* The nearest name. Would catch: a swap that counts twice, an unrelated suggestion, texts of any
 * length. */
#include <string.h>

#include "../../protocol/nearest.h"
#include "unit.h"

static const char *const names[] = {
	"health", "ready", "ping", NULL, "pause", "get_user", "get_users"};

static const char *meant(const char *wanted)
{
	struct nearest nearest = {.wanted = wanted};

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		nearest_offer(&nearest, names[i]);
	return nearest_name(&nearest);
}

static const struct {
	const char *wanted, *meant;
} cases[] = {
	{"health", "health"},
	{"heatlh", "health"},
	{"helth", "health"},
	{"heallth", "health"},
	{"haelht", "health"},
	{"pign", "ping"},
	{"pong", "ping"},
	{"get_usr", "get_user"},
	{"get_userz", "get_user"},
	{"xyzzy", NULL},
	{"", NULL},
	{"p", NULL},
	{"abcdefghijkl", NULL},
};

START_TEST(spellings)
{
	const char *found = meant(cases[_i].wanted);

	if (cases[_i].meant == NULL)
		ck_assert_msg(found == NULL, "%s: %s", cases[_i].wanted, found);
	else
		ck_assert_str_eq(found, cases[_i].meant);
}
END_TEST

START_TEST(an_exact_one_is_at_no_distance)
{
	struct nearest nearest = {.wanted = "ping"};

	ck_assert_ptr_null(nearest_name(&nearest));
	nearest_offer(&nearest, "pine");
	ck_assert_uint_eq(nearest.distance, 1);
	nearest_offer(&nearest, "ping");
	ck_assert_uint_eq(nearest.distance, 0);
}
END_TEST

START_TEST(long_texts)
{
	char text[200];

	for (unsigned length = 0; length < sizeof text; length++) {
		struct nearest nearest = {.wanted = text};

		memset(text, 'x', length);
		text[length] = '\0';
		nearest_offer(&nearest, "ping");
		nearest_offer(&nearest, text);
		if (length > 0 && length <= 64)
			ck_assert_ptr_eq(nearest_name(&nearest), text);
		else
			ck_assert_ptr_null(nearest_name(&nearest));
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("nearest");

	tcase_add_loop_test(tests, spellings, 0, sizeof cases / sizeof *cases);
	tcase_add_test(tests, an_exact_one_is_at_no_distance);
	tcase_add_test(tests, long_texts);
	return unit_run("nearest", tests, true);
}
