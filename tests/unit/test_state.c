/* Named states. Would catch: a transition that the table lacks and nothing stops, a state
 * outside of the table, a transition that the observer misses, or reports from a removed
 * observer. */
#include <signal.h>
#include <string.h>

#include "../../protocol/state.h"
#include "unit.h"

enum { OPEN, CLOSED, LOCKED, STATES };

static const char *const names[STATES] = {"open", "closed", "locked"};
static const uint32_t allowed[STATES] = {
	[OPEN] = STATE(CLOSED),
	[CLOSED] = STATE(OPEN) | STATE(LOCKED),
	[LOCKED] = STATE(CLOSED) | STATE(LOCKED),
};
static const struct state_machine doors = {"door", names, allowed, STATES};

static char seen[256];

static void observe(
	const struct state_machine *machine, uint64_t number, unsigned from, unsigned to)
{
	size_t length = strlen(seen);

	(void)snprintf(seen + length, sizeof seen - length, "%s %llu %s>%s;", machine->what,
		(unsigned long long)number, state_name(machine, from), state_name(machine, to));
}

START_TEST(what_the_table_has_is_done)
{
	uint8_t state = OPEN;

	state_change(&doors, &state, CLOSED, 1);
	ck_assert_uint_eq(state, CLOSED);
	state_change(&doors, &state, LOCKED, 1);
	state_change(&doors, &state, LOCKED, 1);
	ck_assert_uint_eq(state, LOCKED);
}
END_TEST

START_TEST(exactly_what_the_table_has_is_allowed)
{
	for (unsigned from = 0; from < STATES + 2; from++) {
		for (unsigned to = 0; to < STATES + 2; to++) {
			bool wanted = (from == OPEN && to == CLOSED) ||
				(from == CLOSED && (to == OPEN || to == LOCKED)) ||
				(from == LOCKED && (to == CLOSED || to == LOCKED));

			ck_assert_msg(
				state_allows(&doors, from, to) == wanted, "%u to %u", from, to);
		}
	}
}
END_TEST

/* Each of these runs in its own process, which must end by abort(). */
START_TEST(what_the_table_lacks_ends_the_process)
{
	static const uint8_t changes[][2] = {
		{OPEN, LOCKED}, {OPEN, OPEN}, {LOCKED, OPEN}, {STATES, OPEN}, {OPEN, STATES}};
	uint8_t state = changes[_i][0];

	state_change(&doors, &state, changes[_i][1], 1);
}
END_TEST

START_TEST(the_observer_sees_each_change)
{
	uint8_t state = OPEN;

	state_change(&doors, &state, CLOSED, 1);
	state_observe(observe);
	state_change(&doors, &state, LOCKED, 7);
	state_change(&doors, &state, CLOSED, 8);
	state_observe(NULL);
	state_change(&doors, &state, OPEN, 9);
	ck_assert_str_eq(seen, "door 7 closed>locked;door 8 locked>closed;");
}
END_TEST

START_TEST(names_of_states)
{
	ck_assert_str_eq(state_name(&doors, LOCKED), "locked");
	ck_assert_str_eq(state_name(&doors, STATES), "?");
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("state");

	tcase_add_test(tests, what_the_table_has_is_done);
	tcase_add_test(tests, exactly_what_the_table_has_is_allowed);
	tcase_add_loop_test_raise_signal(
		tests, what_the_table_lacks_ends_the_process, SIGABRT, 0, 5);
	tcase_add_test(tests, the_observer_sees_each_change);
	tcase_add_test(tests, names_of_states);
	return unit_run("state", tests, true);
}
