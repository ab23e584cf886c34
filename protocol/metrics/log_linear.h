/* Buckets of a histogram whose width grows with the value: each power of two is cut into 2^parts
 * equal parts, so that a quantile is off by less than one part in 2^parts. The daemon's latencies
 * and those of pierre-dbctl bench are counted in such buckets. */
#ifndef PIERRE_LOG_LINEAR_H
#define PIERRE_LOG_LINEAR_H

#include <stddef.h>
#include <stdint.h>

/* How many buckets hold values below 2^bits. */
#define LOG_LINEAR_BUCKETS(bits, parts) (((bits) - (parts) + 1) << (parts))

size_t log_linear_bucket(uint64_t value, unsigned parts);
/* The largest value of the bucket that holds the value of this rank, counted from 1; at most max,
 * the largest value that was added. */
uint64_t log_linear_quantile(
	const uint64_t *buckets, size_t count, unsigned parts, uint64_t rank, uint64_t max);

#endif
