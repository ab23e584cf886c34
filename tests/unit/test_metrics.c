/* Latency histograms. Would catch: a quantile off by more than its documented error, a bucket
 * out of bounds, one that counts twice. */
#include <stdlib.h>

#include "../../daemon/base/metrics.h"
#include "../../protocol/json/json.h"
#include "unit.h"

static struct histogram histogram;

static void reset(void)
{
	histogram = (struct histogram){0};
}

/* Every value is in a bucket whose upper bound is not below it and at most a sixteenth above. */
START_TEST(precision)
{
	for (uint64_t value = 0; value < (uint64_t)1 << 37; value += value / 7 + 1) {
		uint64_t quantile;

		reset();
		histogram_add(&histogram, value);
		histogram_add(&histogram, UINT64_MAX); /* so that the largest value does not hide
		                                          the bucket's bound */
		quantile = histogram_quantile(&histogram, 500);
		ck_assert_uint_ge(quantile, value);
		ck_assert_uint_le(quantile, value + value / 16);
	}
}
END_TEST

/* The same for both bucket sizes, of the daemon and of pierre-dbctl bench, up to the largest
 * value. */
START_TEST(parts)
{
	unsigned cut = _i == 0 ? 4 : 6;
	size_t count = LOG_LINEAR_BUCKETS(64, cut), before = 0;
	uint64_t *buckets = calloc(count, sizeof *buckets);

	ck_assert_ptr_nonnull(buckets);
	for (uint64_t value = 0; value < UINT64_MAX / 9 * 7; value += value / 5 + 1) {
		size_t bucket = log_linear_bucket(value, cut);
		uint64_t top;

		ck_assert_uint_lt(bucket, count);
		ck_assert_uint_ge(bucket, before);
		before = bucket;
		buckets[bucket]++;
		top = log_linear_quantile(buckets, count, cut, 1, UINT64_MAX);
		ck_assert_uint_ge(top, value);
		ck_assert_uint_le(top, value + (value >> cut));
		ck_assert_uint_eq(log_linear_quantile(buckets, count, cut, 1, value), value);
		buckets[bucket]--;
	}
	ck_assert_uint_eq(log_linear_bucket(UINT64_MAX, cut), count - 1);
	free(buckets);
}
END_TEST

START_TEST(edges)
{
	static const uint64_t values[] = {
		0, 1, 15, 16, 17, 31, 32, ((uint64_t)1 << 38) - 1, (uint64_t)1 << 38, UINT64_MAX};
	uint64_t counted = 0;

	reset();
	for (unsigned i = 0; i < sizeof values / sizeof *values; i++)
		histogram_add(&histogram, values[i]);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		counted += histogram.buckets[i];
	ck_assert_uint_eq(counted, sizeof values / sizeof *values);
	ck_assert_uint_eq(histogram.count, counted);
	ck_assert_uint_eq(histogram.max, UINT64_MAX);
}
END_TEST

START_TEST(quantiles)
{
	reset();
	ck_assert_uint_eq(histogram_quantile(&histogram, 500), 0);
	for (uint64_t i = 1; i <= 1000; i++)
		histogram_add(&histogram, i * 1000000);
	ck_assert_uint_ge(histogram_quantile(&histogram, 500), 500000000);
	ck_assert_uint_le(histogram_quantile(&histogram, 500), 532000000);
	ck_assert_uint_ge(histogram_quantile(&histogram, 990), 990000000);
	ck_assert_uint_le(histogram_quantile(&histogram, 999), 1000000000);
	ck_assert_uint_eq(histogram_quantile(&histogram, 1000), 1000000000);
	for (unsigned p = 1; p < 1000; p++)
		ck_assert_uint_le(
			histogram_quantile(&histogram, p), histogram_quantile(&histogram, p + 1));
}
END_TEST

START_TEST(small_counts)
{
	reset();
	histogram_add(&histogram, 100);
	ck_assert_uint_eq(histogram_quantile(&histogram, 1), 100);
	ck_assert_uint_eq(histogram_quantile(&histogram, 999), 100);
	histogram_add(&histogram, 1000000);
	ck_assert_uint_lt(histogram_quantile(&histogram, 500), 110);
	ck_assert_uint_eq(histogram_quantile(&histogram, 990), 1000000);
}
END_TEST

START_TEST(cumulative)
{
	reset();
	for (unsigned bits = 0; bits < 40; bits++)
		histogram_add(&histogram, ((uint64_t)1 << bits) - 1);
	for (unsigned bits = 4; bits < 38; bits++)
		ck_assert_uint_eq(histogram_up_to(&histogram, bits), bits + 1);
	ck_assert_uint_eq(histogram_up_to(&histogram, 38), 40);
}
END_TEST

START_TEST(methods)
{
	struct metrics metrics;
	struct buffer out = {.cap = 0};
	struct json json = {0};
	struct err err;
	uint64_t calls, errors;
	uint32_t method, at;

	ck_assert_int_eq(metrics_init(&metrics), 0);
	metrics_write_methods(&metrics, &out);
	ck_assert_uint_eq(out.length, 2);
	buffer_cut(&out, 0);
	metrics_call(&metrics, &catalog_methods[0], ERR_NONE, 1000, 1);
	metrics_call(&metrics, &catalog_methods[0], ERR_TIMEOUT, 2000, 2);
	metrics_call(&metrics, &catalog_methods[1], ERR_NONE, 3000, 0);
	metrics.refused[ERR_PARSE_ERROR]++;
	metrics_totals(&metrics, &calls, &errors);
	ck_assert_uint_eq(calls, 4);
	ck_assert_uint_eq(errors, 2);
	metrics_write_methods(&metrics, &out);
	ck_assert_int_eq(json_scan(&json, out.data, out.length, 64, &err), 0);
	ck_assert_uint_eq(json.nodes[0].count, 2);
	method = json_member(&json, 0, catalog_methods[0].name, catalog_methods[0].name_length);
	ck_assert_uint_ne(method, 0);
	at = json_member(&json, method, "calls", 5);
	ck_assert_int_eq(json_scan_integer(&json, at), 2);
	at = json_member(&json, json_member(&json, method, "errors_by_kind", 14), "timeout", 7);
	ck_assert_int_eq(json_scan_integer(&json, at), 1);
	at = json_member(&json, method, "rows", 4);
	ck_assert_int_eq(json_scan_integer(&json, at), 3);
	at = json_member(&json, method, "max", 3);
	ck_assert_double_eq(json_scan_real(&json, at), 2.0);
	json_scan_free(&json);
	buffer_free(&out);
	metrics_free(&metrics);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, precision);
	tcase_add_loop_test(tests, parts, 0, 2);
	tcase_add_test(tests, edges);
	tcase_add_test(tests, quantiles);
	tcase_add_test(tests, small_counts);
	tcase_add_test(tests, cumulative);
	tcase_add_test(tests, methods);
	return unit_run("metrics", tests, true);
}
