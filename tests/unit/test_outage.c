/* Pauses between attempts to connect. Would catch: a pause that is long against the outage,
 * attempts without a pause, pauses without a limit. */
#include "unit.h"

#include "../../backends/postgres/outage.h"

START_TEST(pauses)
{
	static const uint64_t ms = 1000000;
	uint64_t sum = 0;

	for (unsigned failures = 1; failures < 100; failures++) {
		uint64_t pause = outage_backoff(failures);

		ck_assert_uint_ge(pause, 25 * ms);
		ck_assert_uint_le(pause, 2000 * ms);
		if (sum >= 200 * ms)
			ck_assert_uint_le(pause, sum / 2 + 51 * ms);
		sum += pause;
	}
	ck_assert_uint_ge(outage_backoff(99), 1000 * ms);
	ck_assert_uint_ge(outage_backoff(UINT32_MAX), 1000 * ms);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("outage");

	tcase_add_test(tests, pauses);
	return unit_run("outage", tests, true);
}
