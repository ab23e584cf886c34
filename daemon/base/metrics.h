/* Counters and latency histograms, in constant memory.
 *
 * A histogram is log-linear: each power of two of nanoseconds is cut into 16 equal parts, so that a
 * quantile is off by less than a sixteenth. Thread: the loop thread.
 *
 * prefix: histogram_, metrics_ */
#ifndef PIERRE_METRICS_H
#define PIERRE_METRICS_H

#include <stdint.h>

#include "../../protocol/buffer.h"
#include "../../protocol/catalog.h"
#include "../../protocol/error.h"
#include "../../protocol/metrics/log_linear.h"
#include "../../protocol/metrics/metric_list.h"

enum {
	HISTOGRAM_BITS = 38, /* to 2^38 ns = 275 s */
	HISTOGRAM_PARTS = 4,
	HISTOGRAM_BUCKETS = LOG_LINEAR_BUCKETS(HISTOGRAM_BITS, HISTOGRAM_PARTS)
};

struct histogram {
	uint64_t count, sum, max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);
/* The least value that at least per_mille thousandths of all values do not exceed; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, unsigned per_mille);
/* Values up to 2^bits. */
uint64_t histogram_up_to(const struct histogram *histogram, unsigned bits);

struct method_metrics {
	struct histogram latency;          /* ns, from the line's arrival to the answer's text */
	uint64_t outcomes[ERR_KIND_COUNT]; /* [ERR_NONE]: successes */
	uint64_t rows;
};

struct metrics {
	struct method_metrics *methods;   /* catalog_method_count */
	uint64_t refused[ERR_KIND_COUNT]; /* answered with an error before a method was known */
#define COUNTED(kind, member, ...) uint64_t member;
#define READ(...)
	METRIC_LIST(COUNTED, READ)
#undef COUNTED
#undef READ
};

int metrics_init(struct metrics *metrics);
void metrics_free(struct metrics *metrics);
void metrics_call(struct metrics *metrics, const struct method *method, enum err_kind outcome,
	uint64_t ns, uint32_t rows);
/* `"method":{…}` for each method that was called, between braces. */
void metrics_write_methods(const struct metrics *metrics, struct buffer *out);
/* Totals over all methods: calls, and those that failed. */
void metrics_totals(const struct metrics *metrics, uint64_t *calls, uint64_t *errors);

#endif
