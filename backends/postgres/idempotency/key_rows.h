/* The rows of idempotency_keys, as the statements of this folder write them.
 *
 * prefix: key_rows_ */
#ifndef PIERRE_KEY_ROWS_H
#define PIERRE_KEY_ROWS_H

#include <stdint.h>

#include "../../idempotency.h"

/* µs, by the server's clock, which several daemons share. */
#define KEY_NOW_US "(EXTRACT(epoch FROM now()) * 1000000)::bigint"
#define KEY_OLD_US KEY_NOW_US " - 86400000000"
_Static_assert(IDEMPOTENCY_HOURS == 24, "KEY_OLD_US names this time");

#define KEY_COLUMNS "(uid, key, method, digest, answer, created_us)"
/* A key whose time is over is replaced. One that is known takes NULL as its method, which the table
 * refuses: an error rolls back the batch. */
#define KEY_REPLACES_OLD                                                                           \
	" ON CONFLICT (uid, key) DO UPDATE SET method = CASE WHEN k.created_us <= " KEY_OLD_US     \
	" THEN excluded.method END, digest = excluded.digest, answer = excluded.answer, "          \
	"created_us = excluded.created_us"

/* Writes so many bytes, the highest first; returns what follows them. */
static inline char *key_rows_number(char *out, uint64_t number, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--, number >>= 8)
		out[i] = (char)(number & 0xFF);
	return out + bytes;
}

#endif
