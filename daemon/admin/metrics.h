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

enum {
	HISTOGRAM_BITS = 38,
	HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - 4 + 1) * 16
}; /* to 2^38 ns = 275 s */

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
	uint64_t lines, notifications, batches;
	uint64_t bytes_in, bytes_out;
	uint64_t accepted, closed, overloaded;  /* connections */
	uint64_t line_timeouts, write_timeouts; /* connections closed for these */
	uint64_t paused;                        /* times that reading a connection stopped */
	uint64_t dropped; /* calls that never began, since their client was gone */
	uint64_t pauses;  /* times that the daemon was paused */
	uint64_t accept_failures, slow_calls, loop_lag_max_ns, loop_lag_ns;
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
