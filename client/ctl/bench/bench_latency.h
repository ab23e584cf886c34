/* A latency histogram for benchmarks, with 64 linear buckets per power of two. */
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
/* The percentile (0.99) of the latency in µs; 0 without calls. */
double bench_latency_quantile(const struct bench_latency *latency, double part);

#endif
