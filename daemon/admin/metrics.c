#include "metrics.h"

#include <stdlib.h>

#include "../../protocol/json/json.h"

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

static void write_member(struct buffer *out, const char *name, uint64_t value)
{
	buffer_byte(out, '"');
	buffer_text(out, name);
	buffer_text(out, "\":");
	json_write_integer(out, (int64_t)value);
}

static void write_microseconds(struct buffer *out, const char *name, uint64_t ns)
{
	buffer_text(out, ",\"");
	buffer_text(out, name);
	buffer_text(out, "\":");
	json_write_real(out, (double)ns / 1000.0);
}

static void daemon_metrics_write_errors(struct buffer *out, const struct method_metrics *m)
{
	bool first = true;

	buffer_text(out, ",\"errors_by_kind\":{");
	for (int kind = ERR_NONE + 1; kind < ERR_KIND_COUNT; kind++) {
		if (m->outcomes[kind] == 0)
			continue;
		if (!first)
			buffer_byte(out, ',');
		first = false;
		write_member(out, err_info((enum err_kind)kind)->name, m->outcomes[kind]);
	}
	buffer_byte(out, '}');
}

/* Cumulative, as OpenMetrics wants them: [upper bound in seconds, calls up to it], from 2^14 ns (16
 * µs) to 2^36 ns (69 s). */
static void write_buckets(struct buffer *out, const struct histogram *latency)
{
	buffer_text(out, ",\"buckets\":[");
	for (unsigned bits = 14; bits <= 36; bits += 2) {
		if (bits != 14)
			buffer_byte(out, ',');
		buffer_byte(out, '[');
		json_write_real(out, (double)((uint64_t)1 << bits) / 1e9);
		buffer_byte(out, ',');
		json_write_integer(out, (int64_t)histogram_up_to(latency, bits));
		buffer_byte(out, ']');
	}
	buffer_byte(out, ']');
}

static void write_method(
	struct buffer *out, const struct method *method, const struct method_metrics *m)
{
	const struct histogram *latency = &m->latency;

	json_write_string(out, method->name, method->name_length);
	buffer_text(out, ":{");
	write_member(out, "calls", latency->count);
	buffer_byte(out, ',');
	write_member(out, "errors", latency->count - m->outcomes[ERR_NONE]);
	daemon_metrics_write_errors(out, m);
	buffer_byte(out, ',');
	write_member(out, "rows", m->rows);
	write_microseconds(out, "p50", histogram_quantile(latency, 500));
	write_microseconds(out, "p90", histogram_quantile(latency, 900));
	write_microseconds(out, "p99", histogram_quantile(latency, 990));
	write_microseconds(out, "p999", histogram_quantile(latency, 999));
	write_microseconds(out, "max", latency->max);
	buffer_text(out, ",\"seconds_total\":");
	json_write_real(out, (double)latency->sum / 1e9);
	write_buckets(out, latency);
	buffer_byte(out, '}');
}

void metrics_write_methods(const struct metrics *metrics, struct buffer *out)
{
	bool first = true;

	buffer_byte(out, '{');
	for (size_t i = 0; i < catalog_method_count; i++) {
		if (metrics->methods[i].latency.count == 0)
			continue;
		if (!first)
			buffer_byte(out, ',');
		first = false;
		write_method(out, &catalog_methods[i], &metrics->methods[i]);
	}
	buffer_byte(out, '}');
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
