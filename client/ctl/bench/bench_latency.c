/* The latencies of a benchmark. */
#include "bench_latency.h"

#include <math.h>
#include <stddef.h>

void bench_latency_add(struct bench_latency *latency, uint64_t ns)
{
	unsigned exponent = ns < (1U << BENCH_PARTS_BITS)
		? 0
		: 64U - BENCH_PARTS_BITS - (unsigned)__builtin_clzll(ns);
	size_t bucket = exponent == 0 ? (size_t)ns
				      : ((size_t)exponent << BENCH_PARTS_BITS) +
			(size_t)((ns >> (exponent - 1)) & ((1U << BENCH_PARTS_BITS) - 1));

	latency->buckets[bucket]++;
	latency->count++;
	if (ns > latency->max_ns)
		latency->max_ns = ns;
}

double bench_latency_quantile(const struct bench_latency *latency, double part)
{
	uint64_t wanted = (uint64_t)ceil((double)latency->count * part), seen = 0, top;

	for (size_t i = 0; i < BENCH_BUCKETS; i++) {
		size_t exponent = i >> BENCH_PARTS_BITS, place = i & ((1U << BENCH_PARTS_BITS) - 1);

		seen += latency->buckets[i];
		if (seen < wanted || seen == 0)
			continue;
		top = exponent == 0
			? place
			: ((((uint64_t)1 << BENCH_PARTS_BITS) + place + 1) << (exponent - 1)) - 1;
		return (double)(top < latency->max_ns ? top : latency->max_ns) / 1000;
	}
	return 0;
}
