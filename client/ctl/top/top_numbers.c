/* Computes the activity between two results of daemon.stats. */
#include "top.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../catalog/tree.h"

static double difference(const json_t *before, const json_t *now, const char *name)
{
	double change = tree_number(now, name) - tree_number(before, name);

	return change > 0 ? change : 0;
}

static bool is_daemons_own(const char *name)
{
	return strncmp(name, "daemon.", 7) == 0 || strncmp(name, "rpc.", 4) == 0;
}

/* Subtracts the earlier cumulative buckets of a method, `[[bound, calls up to it], …]`. `before`
 * may be NULL. */
static void read_latency(struct top_latency *latency, const json_t *before, const json_t *now)
{
	const json_t *old = json_object_get(before, "buckets"),
		     *new = json_object_get(now, "buckets");
	double passed = 0;
	size_t count = json_array_size(new);

	*latency = (struct top_latency){.calls = difference(before, now, "calls"),
		.seconds = difference(before, now, "seconds_total")};
	latency->count = count < TOP_BUCKETS_MAX ? count : TOP_BUCKETS_MAX;
	for (size_t i = 0; i < latency->count; i++) {
		double up_to = json_number_value(json_array_get(json_array_get(new, i), 1)) -
			json_number_value(json_array_get(json_array_get(old, i), 1));

		latency->bounds[i] = json_number_value(json_array_get(json_array_get(new, i), 0));
		latency->counts[i] = up_to > passed ? up_to - passed : 0;
		passed = up_to > passed ? up_to : passed;
	}
	latency->counts[latency->count] = latency->calls > passed ? latency->calls - passed : 0;
}

static void add_latency(struct top_latency *sum, const struct top_latency *latency)
{
	if (sum->count == 0) {
		*sum = *latency;
		return;
	}
	for (size_t i = 0; i <= sum->count && i <= latency->count; i++)
		sum->counts[i] += latency->counts[i];
	sum->calls += latency->calls;
	sum->seconds += latency->seconds;
}

/* Assumes that latencies are evenly distributed on a logarithmic scale within a bucket. */
double top_numbers_quantile(const struct top_latency *latency, double part)
{
	double all = 0, seen = 0;

	for (size_t i = 0; i <= latency->count; i++)
		all += latency->counts[i];
	if (all <= 0 || latency->count == 0)
		return -1;
	if (latency->calls == 1)
		return latency->seconds; /* known exactly */
	for (size_t i = 0; i < latency->count; i++) {
		double high = latency->bounds[i], low = i > 0 ? latency->bounds[i - 1] : high / 4;

		if (latency->counts[i] > 0 && seen + latency->counts[i] >= part * all)
			return low * pow(high / low, (part * all - seen) / latency->counts[i]);
		seen += latency->counts[i];
	}
	return latency->bounds[latency->count - 1];
}

static void add_row(struct top_numbers *numbers, const char *name, const json_t *before,
	const json_t *now, double seconds, struct top_latency *sum)
{
	struct top_latency latency;
	struct top_row *row;

	if (numbers->row_count == TOP_ROWS_MAX)
		return;
	read_latency(&latency, before, now);
	row = &numbers->rows[numbers->row_count++];
	*row = (struct top_row){
		.name = name,
		.rate = latency.calls / seconds,
		.p50 = top_numbers_quantile(&latency, 0.5),
		.p90 = top_numbers_quantile(&latency, 0.9),
		.p99 = top_numbers_quantile(&latency, 0.99),
		.mean = latency.calls > 0 ? latency.seconds / latency.calls : -1,
		.errors = difference(before, now, "errors") / seconds,
		.load = latency.seconds / seconds,
		.rows = difference(before, now, "rows") / seconds,
		.total = tree_number(now, "calls"),
	};
	if (!is_daemons_own(name))
		add_latency(sum, &latency);
}

static void count_errors(
	struct top_numbers *numbers, const json_t *before, const json_t *now, double seconds)
{
	json_t *kinds = json_object_get(now, "errors_by_kind");
	const json_t *old = json_object_get(before, "errors_by_kind");
	const char *kind;
	json_t *count;
	double max = 0;

	(void)count;
	json_object_foreach (kinds, kind, count) {
		double change = difference(old, kinds, kind);

		numbers->errors += change / seconds;
		if (change > max) {
			max = change;
			numbers->error_kind = kind;
		}
	}
}

static void compute_rest(
	struct top_numbers *numbers, const json_t *before, const json_t *now, double seconds)
{
	const json_t *old = json_object_get(before, "counters"),
		     *new = json_object_get(now, "counters");
	double commits = difference(old, new, "db_transactions");

	numbers->commits = commits / seconds;
	numbers->batch = commits > 0 ? difference(old, new, "db_batched_calls") / commits : 0;
	numbers->checkpoints = difference(old, new, "sqlite_checkpoints") / seconds;
	numbers->hashes = (difference(old, new, "passwords_hashed") +
				  difference(old, new, "passwords_verified")) /
		seconds;
	numbers->cpu =
		(difference(old, new, "cpu_user_us") + difference(old, new, "cpu_system_us")) /
		1e6 / seconds;
}

const char *const top_numbers_reasons[TOP_REASONS] = {
	"behind", "old", "conflict", "lost", "slow", "pending"};

static const json_t *server_named(const json_t *servers, const char *host)
{
	const json_t *server;
	size_t i;

	json_array_foreach (servers, i, server)
		if (strcmp(tree_text(server, "host"), host) == 0)
			return server;
	return NULL;
}

/* seconds: 0 when there is no earlier result. */
static void compute_servers(
	struct top_numbers *numbers, const json_t *before, const json_t *now, double seconds)
{
	const json_t *servers = json_object_get(now, "servers"),
		     *old = json_object_get(before, "servers"), *server;
	const json_t *counters = json_object_get(now, "counters"),
		     *old_counters = json_object_get(before, "counters");
	char member[32];
	size_t i;

	json_array_foreach (servers, i, server) {
		const char *host = tree_text(server, "host");

		if (i == TOP_SERVERS_MAX)
			break;
		numbers->servers[i].now = server;
		if (seconds > 0)
			numbers->servers[i].rate =
				difference(server_named(old, host), server, "reads") / seconds;
		numbers->server_count++;
	}
	for (i = 0; i < TOP_REASONS && seconds > 0; i++) {
		(void)snprintf(member, sizeof member, "primary_reads_%s", top_numbers_reasons[i]);
		numbers->by_primary[i] = difference(old_counters, counters, member) / seconds;
	}
	if (seconds > 0)
		numbers->by_standbys =
			difference(old_counters, counters, "standby_reads") / seconds;
}

/* The same start time and a later uptime: else it is another daemon, whose counters cannot be
 * compared. */
static bool same_daemon(const json_t *before, const json_t *now)
{
	return before != NULL &&
		tree_number(now, "uptime_seconds") > tree_number(before, "uptime_seconds") &&
		tree_number(json_object_get(before, "gauges"), "started_at") ==
		tree_number(json_object_get(now, "gauges"), "started_at");
}

void top_numbers_compute(struct top_numbers *numbers, const json_t *before, const json_t *now)
{
	struct top_latency sum = {.count = 0};
	json_t *methods = json_object_get(now, "methods"), *method;
	const char *name;
	double seconds;

	*numbers = (struct top_numbers){.valid = same_daemon(before, now), .p50 = -1, .p99 = -1};
	if (!numbers->valid) {
		compute_servers(numbers, NULL, now, 0);
		return;
	}
	seconds = tree_number(now, "uptime_seconds") - tree_number(before, "uptime_seconds");
	json_object_foreach (methods, name, method)
		add_row(numbers, name, json_object_get(json_object_get(before, "methods"), name),
			method, seconds, &sum);
	numbers->rate = sum.calls / seconds;
	numbers->p50 = top_numbers_quantile(&sum, 0.5);
	numbers->p99 = top_numbers_quantile(&sum, 0.99);
	count_errors(numbers, before, now, seconds);
	compute_rest(numbers, before, now, seconds);
	compute_servers(numbers, before, now, seconds);
}

static int by_name(const struct top_row *a, const struct top_row *b)
{
	return strcmp(a->name, b->name);
}

static int larger_first(double a, double b)
{
	return (a < b) - (a > b);
}

/* Equal rows, mostly idle ones, are ordered by total, then by name, so that lines keep their
 * place. */
#define COMPARE(function, member)                                                                  \
	int function(const void *one, const void *other)                                           \
	{                                                                                          \
		const struct top_row *a = one, *b = other;                                         \
		int order = larger_first(a->member, b->member);                                    \
                                                                                                   \
		if (order == 0)                                                                    \
			order = larger_first(a->total, b->total);                                  \
		return order != 0 ? order : by_name(a, b);                                         \
	}

static COMPARE(by_rate, rate) static COMPARE(by_p99, p99) static COMPARE(
	by_errors, errors) static COMPARE(by_load, load) static COMPARE(by_total, total)

	static int by_letters(const void *one, const void *other)
{
	return by_name(one, other);
}

static const struct {
	const char *name;
	int (*compare)(const void *, const void *);
} orders[] = {
	[TOP_BY_RATE] = {"rate", by_rate},
	[TOP_BY_P99] = {"p99", by_p99},
	[TOP_BY_ERRORS] = {"errors", by_errors},
	[TOP_BY_LOAD] = {"load", by_load},
	[TOP_BY_TOTAL] = {"total", by_total},
	[TOP_BY_NAME] = {"name", by_letters},
};

void top_numbers_sort(struct top_numbers *numbers, enum top_order order)
{
	qsort(numbers->rows, numbers->row_count, sizeof *numbers->rows, orders[order].compare);
}

bool top_numbers_parse_order(const char *text, enum top_order *order)
{
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
		if (strcmp(text, orders[i].name) == 0 ||
			(text[0] == orders[i].name[0] && text[1] == '\0')) {
			*order = (enum top_order)i;
			return true;
		}
	return false;
}
