/* Samples of the primary's log, and what the reads of a client must see. Would catch: a position
 * that a call is not covered by, an age that is too low, a ring that loses what is still asked for,
 * a table's call that holds another table's read, a snapshot of the primary that lacks what a
 * standby has shown, a frozen primary that no longer counts as lost. */
#include "unit.h"

#include "../../backends/postgres/pg_store.h"
#include "../../backends/postgres/standby/history.h"
#include "../../backends/postgres/standby/split.h"

static const uint64_t ms = 1000000;

static void add(struct samples *samples, uint64_t now, uint64_t log)
{
	samples_ask(samples, now);
	samples_take(samples, log);
}

START_TEST(positions)
{
	static struct samples samples;

	samples_init(&samples, 5000 * ms);
	ck_assert_ptr_null(samples_last(&samples));
	ck_assert_uint_eq(samples_next(&samples), 1);
	add(&samples, 100 * ms, 1000);
	add(&samples, 200 * ms, 1000);
	add(&samples, 300 * ms, 1200);
	ck_assert_uint_eq(samples_covering(&samples, 1)->log, 1000);
	ck_assert_uint_eq(samples_covering(&samples, 3)->log, 1200);
	ck_assert_ptr_null(samples_covering(&samples, 4));
	samples_ask(&samples, 400 * ms); /* not answered: covers nothing */
	ck_assert_ptr_null(samples_covering(&samples, 4));
	ck_assert_uint_eq(samples_next(&samples), 5);
	ck_assert_uint_eq(samples_since(&samples, 0)->log, 1000);
	ck_assert_uint_eq(samples_since(&samples, 201 * ms)->log, 1200);
	ck_assert_ptr_null(samples_since(&samples, 301 * ms));
	ck_assert_ptr_null(samples_reached(&samples, 999));
	ck_assert_uint_eq(samples_reached(&samples, 1000)->sent, 200 * ms);
	ck_assert_uint_eq(samples_reached(&samples, 1199)->sent, 200 * ms);
	ck_assert_uint_eq(samples_reached(&samples, 5000)->sent, 300 * ms);
}
END_TEST

/* Ten samples a millisecond fill the ring many times. */
START_TEST(ring)
{
	static struct samples samples;
	const uint64_t span = 5000 * ms;
	uint64_t now = 0;

	samples_init(&samples, span);
	for (unsigned i = 1; i <= 100000; i++)
		add(&samples, now = i * ms / 10, 7 * i);
	ck_assert_uint_le(samples_since(&samples, now - span)->sent, now - span + 20 * ms);
	/* Forgotten: a later one covers it. */
	ck_assert_uint_ge(samples_covering(&samples, 1)->log, 7);
	ck_assert_uint_eq(samples_covering(&samples, 100000)->log, 700000);
	add(&samples, now + ms, 10); /* another primary */
	ck_assert_uint_eq(samples.count, 1);
	ck_assert_uint_eq(samples_covering(&samples, 1)->log, 10);
}
END_TEST

START_TEST(tables)
{
	struct table_calls calls = {.tables = 0};

	history_enter(&calls, 5);
	history_enter(&calls, 4);
	ck_assert_uint_eq(calls.tables, 5);
	history_leave(&calls, 5);
	ck_assert_uint_eq(calls.tables, 4);
	history_leave(&calls, 4);
	ck_assert_uint_eq(calls.tables, 0);
	history_enter(&calls, UINT32_C(1) << 31);
	ck_assert_uint_eq(calls.tables, UINT32_C(1) << 31);
}
END_TEST

static bool caught_up(const struct snapshot *standby, const struct snapshot *primary)
{
	struct history history = {.instance = 0};

	history_shown(&history, 2, 7, 100, standby);
	ck_assert(history_caught_up(&history, 1, primary)); /* another table */
	ck_assert_uint_eq(history.shown, 2);
	if (history_caught_up(&history, 2, primary)) {
		ck_assert_uint_eq(history.shown, 0);
		return true;
	}
	ck_assert_uint_eq(history.shown, 2);
	return false;
}

START_TEST(snapshots)
{
	const struct snapshot quiet = {.xmin = 50, .xmax = 50};

	ck_assert(caught_up(&quiet, &quiet));
	ck_assert(caught_up(&quiet, &(struct snapshot){.xmin = 51, .xmax = 51}));
	/* 49 has ended on the standby, and runs on the primary. */
	ck_assert(!caught_up(&quiet, &(struct snapshot){.xmin = 49, .xmax = 50}));
	ck_assert(!caught_up(&quiet, &(struct snapshot){.xmin = 49, .xmax = 49}));
	/* 40 runs on both. */
	ck_assert(caught_up(&(struct snapshot){.xmin = 40, .xmax = 50},
		&(struct snapshot){.xmin = 40, .xmax = 50}));
	ck_assert(caught_up(&(struct snapshot){.xmin = 40, .xmax = 50},
		&(struct snapshot){.xmin = 40, .next = 55, .xmax = 60}));
	/* 45 may have ended on the standby. */
	ck_assert(!caught_up(&(struct snapshot){.xmin = 40, .xmax = 50},
		&(struct snapshot){.xmin = 40, .next = 45, .xmax = 60}));
	ck_assert(!caught_up(&(struct snapshot){.xmin = 40, .xmax = 50},
		&(struct snapshot){.xmin = 40, .xmax = 49}));
	ck_assert(!caught_up(&(struct snapshot){.xmin = 41, .xmax = 50},
		&(struct snapshot){.xmin = 40, .xmax = 60}));
}
END_TEST

START_TEST(needs)
{
	static struct split split;
	struct history history = {.split = &split};
	uint64_t log = 0;

	samples_init(&split.samples, 5000 * ms);
	add(&split.samples, ms, 500);
	ck_assert(history_position(&history, 3, &log));
	ck_assert_uint_eq(log, 0);
	history.sample[1] = samples_next(&split.samples);
	ck_assert(history_position(&history, 1, &log)); /* of another table */
	ck_assert(!history_position(&history, 3, &log));
	add(&split.samples, 2 * ms, 600);
	ck_assert(history_position(&history, 3, &log));
	ck_assert_uint_eq(log, 600);
	history.log[0] = 900;
	ck_assert(history_position(&history, 3, &log));
	ck_assert_uint_eq(log, 900);
}
END_TEST

static void log_nothing(int priority, const char *format, ...)
{
	(void)priority;
	(void)format;
}

/* A frozen primary counts as lost until it answers, also while a new connection is tried. */
START_TEST(silence)
{
	static struct postgres_store store = {.settings = {.log = log_nothing}, .transactions = 7};
	static struct split split = {.store = &store};
	struct sampler *sampler = &split.sampler;

	*sampler = (struct sampler){.state = SAMPLER_ASKING, .socket = -1, .asked_at = ms};
	sampler_step(&split, 1000 * ms);
	ck_assert(!sampler_stalled(&split, 1000 * ms));
	ck_assert(sampler_stalled(&split, 1002 * ms));
	sampler_step(&split, 5002 * ms);
	ck_assert_uint_eq(sampler->state, SAMPLER_CLOSED);
	ck_assert(sampler_stalled(&split, 5002 * ms));
	store.transactions++; /* a call's connection is answered */
	ck_assert(!sampler_stalled(&split, 5002 * ms));
	/* A lock that holds up the timeline's row does not make a primary silent. */
	*sampler = (struct sampler){.state = SAMPLER_MARKING, .socket = -1, .asked_at = ms};
	sampler_step(&split, 5002 * ms);
	ck_assert_uint_eq(sampler->state, SAMPLER_CLOSED);
	ck_assert(!sampler_stalled(&split, 5002 * ms));
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("standby");

	tcase_add_test(tests, positions);
	tcase_add_test(tests, ring);
	tcase_add_test(tests, tables);
	tcase_add_test(tests, snapshots);
	tcase_add_test(tests, needs);
	tcase_add_test(tests, silence);
	return unit_run("standby", tests, true);
}
