/* A latency histogram for benchmarks. */
#include "bench_latency.h"

#include <math.h>

void bench_latency_add(struct bench_latency *latency, uint64_t ns)
{
	latency->buckets[log_linear_bucket(ns, BENCH_PARTS)]++;
	latency->count++;
	if (ns > latency->max_ns)
		latency->max_ns = ns;
}

double bench_latency_quantile(const struct bench_latency *latency, double part)
{
	uint64_t rank = (uint64_t)ceil((double)latency->count * part);

	return (double)log_linear_quantile(
		       latency->buckets, BENCH_BUCKETS, BENCH_PARTS, rank, latency->max_ns) /
		1000;
}
