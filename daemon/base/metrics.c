#include "metrics.h"

#include <stdlib.h>

#include "../../protocol/json/json_add.h"

static size_t bucket_of(uint64_t value)
{
	return value >> HISTOGRAM_BITS != 0 ? HISTOGRAM_BUCKETS - 1
					    : log_linear_bucket(value, HISTOGRAM_PARTS);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->count++;
	histogram->sum += value;
	if (value > histogram->max)
		histogram->max = value;
	histogram->buckets[bucket_of(value)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned per_mille)
{
	uint64_t wanted = (histogram->count / 1000) * per_mille +
		((histogram->count % 1000) * per_mille + 999) / 1000;

	return log_linear_quantile(
		histogram->buckets, HISTOGRAM_BUCKETS, HISTOGRAM_PARTS, wanted, histogram->max);
}

uint64_t histogram_up_to(const struct histogram *histogram, unsigned bits)
{
	size_t end = bits >= HISTOGRAM_BITS ? HISTOGRAM_BUCKETS : bucket_of((uint64_t)1 << bits);
	uint64_t seen = 0;

	for (size_t i = 0; i < end; i++)
		seen += histogram->buckets[i];
	return seen;
}

int metrics_init(struct metrics *metrics)
{
	*metrics = (struct metrics){0};
	metrics->methods = calloc(catalog_method_count, sizeof *metrics->methods);
	return metrics->methods != NULL ? 0 : -1;
}

void metrics_free(struct metrics *metrics)
{
	free(metrics->methods);
	metrics->methods = NULL;
}

void metrics_call(struct metrics *metrics, const struct method *method, enum err_kind outcome,
	uint64_t ns, uint32_t rows)
{
	struct method_metrics *m = &metrics->methods[method->index];

	histogram_add(&m->latency, ns);
	m->outcomes[outcome]++;
	m->rows += rows;
}

static void daemon_metrics_write_errors(struct buffer *out, const struct method_metrics *m)
{
	json_add_object(out, "errors_by_kind");
	for (int kind = ERR_NONE + 1; kind < ERR_KIND_COUNT; kind++)
		if (m->outcomes[kind] > 0)
			json_add_count(out, err_info((enum err_kind)kind)->name, m->outcomes[kind]);
	json_add_end(out, '}');
}

/* Cumulative, as OpenMetrics wants them: [upper bound in seconds, calls up to it], from 2^14 ns (16
 * µs) to 2^36 ns (69 s). */
static void write_buckets(struct buffer *out, const struct histogram *latency)
{
	json_add_array(out, "buckets");
	for (unsigned bits = 14; bits <= 36; bits += 2) {
		json_add_array(out, NULL);
		json_add_real(out, NULL, (double)((uint64_t)1 << bits) / 1e9);
		json_add_count(out, NULL, histogram_up_to(latency, bits));
		json_add_end(out, ']');
	}
	json_add_end(out, ']');
}

static void add_microseconds(
	struct buffer *out, const char *name, const struct histogram *latency, unsigned per_mille)
{
	json_add_real(out, name, (double)histogram_quantile(latency, per_mille) / 1e3);
}

static void write_method(
	struct buffer *out, const struct method *method, const struct method_metrics *m)
{
	const struct histogram *latency = &m->latency;

	json_add_object(out, method->name);
	json_add_count(out, "calls", latency->count);
	json_add_count(out, "errors", latency->count - m->outcomes[ERR_NONE]);
	daemon_metrics_write_errors(out, m);
	json_add_count(out, "rows", m->rows);
	add_microseconds(out, "p50", latency, 500);
	add_microseconds(out, "p90", latency, 900);
	add_microseconds(out, "p99", latency, 990);
	add_microseconds(out, "p999", latency, 999);
	json_add_real(out, "max", (double)latency->max / 1e3);
	json_add_real(out, "seconds_total", (double)latency->sum / 1e9);
	write_buckets(out, latency);
	json_add_end(out, '}');
}

void metrics_write_methods(const struct metrics *metrics, struct buffer *out)
{
	json_add_object(out, NULL);
	for (size_t i = 0; i < catalog_method_count; i++)
		if (metrics->methods[i].latency.count > 0)
			write_method(out, &catalog_methods[i], &metrics->methods[i]);
	json_add_end(out, '}');
}

void metrics_totals(const struct metrics *metrics, uint64_t *calls, uint64_t *errors)
{
	*calls = *errors = 0;
	for (size_t i = 0; i < catalog_method_count; i++) {
		*calls += metrics->methods[i].latency.count;
		*errors +=
			metrics->methods[i].latency.count - metrics->methods[i].outcomes[ERR_NONE];
	}
	for (int kind = ERR_NONE + 1; kind < ERR_KIND_COUNT; kind++) {
		*calls += metrics->refused[kind];
		*errors += metrics->refused[kind];
	}
}
