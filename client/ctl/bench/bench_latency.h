/* Latencies of a benchmark: a histogram in which each power of two is cut into 64 equal parts. */
#ifndef PIERRE_CTL_BENCH_LATENCY_H
#define PIERRE_CTL_BENCH_LATENCY_H

#include <stdint.h>

#include "../../../protocol/metrics/log_linear.h"

enum { BENCH_PARTS = 6, BENCH_BUCKETS = LOG_LINEAR_BUCKETS(64, BENCH_PARTS) };

struct bench_latency {
	uint64_t buckets[BENCH_BUCKETS];
	uint64_t count, max_ns;
};

void bench_latency_add(struct bench_latency *latency, uint64_t ns);
/* The latency in µs that this part (0.99) of all calls did not exceed; 0 without calls. */
double bench_latency_quantile(const struct bench_latency *latency, double part);

#endif
