#include "log_linear.h"

size_t log_linear_bucket(uint64_t value, unsigned parts)
{
	unsigned exponent;

	if (value >> parts == 0)
		return (size_t)value;
	exponent = 63 - (unsigned)__builtin_clzll(value);
	return ((size_t)(exponent - parts + 1) << parts) +
		(size_t)((value >> (exponent - parts)) & (((uint64_t)1 << parts) - 1));
}

static uint64_t log_linear_top(size_t bucket, unsigned parts)
{
	uint64_t place = bucket & (((size_t)1 << parts) - 1);
	size_t power = bucket >> parts;

	return power == 0 ? place : ((((uint64_t)1 << parts) + place + 1) << (power - 1)) - 1;
}

uint64_t log_linear_quantile(
	const uint64_t *buckets, size_t count, unsigned parts, uint64_t rank, uint64_t max)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < count; i++) {
		seen += buckets[i];
		if (seen >= rank && seen > 0) {
			uint64_t top = log_linear_top(i, parts);

			return top < max ? top : max;
		}
	}
	return max;
}
