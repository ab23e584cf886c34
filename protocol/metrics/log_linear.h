/* Histogram buckets whose width grows with the value. Each power of two is divided into 2^parts
 * equal buckets: a quantile is off by less than one part in 2^parts. Used for the daemon's
 * latencies and those of pierre-dbctl bench. */
#ifndef PIERRE_LOG_LINEAR_H
#define PIERRE_LOG_LINEAR_H

#include <stddef.h>
#include <stdint.h>

/* The number of buckets for values below 2^bits. */
#define LOG_LINEAR_BUCKETS(bits, parts) (((bits) - (parts) + 1) << (parts))

size_t log_linear_bucket(uint64_t value, unsigned parts);
/* The largest value of the bucket that holds the value of this rank, counted from 1; at most max,
 * the largest value added. */
uint64_t log_linear_quantile(
	const uint64_t *buckets, size_t count, unsigned parts, uint64_t rank, uint64_t max);

#endif
