/* Shared by the peers of the benchmark: the requested keys, the values of a statement's
 * parameters, times and the result.
 *
 * A peer does the work of one method without the daemon, with the daemon's own statement from the
 * generated catalog. Test programs only: they print a message and exit on any failure. One
 * thread. */
#ifndef PIERRE_BENCH_PEER_H
#define PIERRE_BENCH_PEER_H

#include <stddef.h>
#include <stdint.h>

#include "../../../protocol/catalog.h"

struct peer_options {
	const char *target; /* database file or connection string */
	const char *method;
	const char *keys; /* file of keys, one a line, of which each call takes a random one */
	size_t calls;
	size_t group;       /* calls in one commit (SQLite) or one sync (PostgreSQL) */
	size_t connections; /* PostgreSQL */
	size_t depth;       /* PostgreSQL: groups in flight on each connection */
};

struct peer_keys {
	char **keys;
	size_t count;
	uint64_t state; /* of the random numbers; any value but 0 */
};

struct peer_times {
	uint64_t *each; /* ns of every call */
	size_t count, capacity;
	uint64_t started;
};

void peer_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void peer_options_read(struct peer_options *options, int argc, char **argv);

void peer_keys_read(struct peer_keys *keys, const char *path);
const char *peer_keys_random(struct peer_keys *keys);

const struct method *peer_method(const char *name, enum backend_id backend);
/* Returns the value that a call binds to a slot: `key` for user_id and api_key_id, otherwise a
 * typical one. */
struct value peer_value(const struct bind_param *slot, const char *key, int64_t now);

uint64_t peer_clock(void); /* monotonic ns */
void peer_times_begin(struct peer_times *times, size_t calls);
void peer_times_add(struct peer_times *times, uint64_t ns);
/* Prints one line of JSON: calls, seconds, calls_per_second, p50_us, p90_us, p99_us, p999_us,
 * max_us. */
void peer_times_print(struct peer_times *times, const char *peer);

#endif
