/* Threads for bcrypt, which takes a quarter of a second: nothing of it may run on the loop thread.
 *
 * Jobs wait in a bounded queue. Connections take turns, so that one that sends many passwords does
 * not keep the others from logging in; those of one connection are begun in order. When the queue
 * is full, the last job of who has most of them makes room. A job whose deadline passes is
 * returned at that moment, even while a thread works on it: bcrypt cannot be interrupted, so the
 * thread's result is then discarded. All functions and done() on the loop thread. */
#ifndef PIERRE_PASSWORD_POOL_H
#define PIERRE_PASSWORD_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "../../backends/secrets/password.h"

struct password_result {
	struct err err;               /* kind != ERR_NONE: it failed, or ran out of time */
	bool dropped;                 /* by password_pool_drop */
	bool matches;                 /* of verifying */
	char hash[PASSWORD_HASH_MAX]; /* of hashing */
	uint64_t rounds;              /* of bcrypt, that were done */
};

/* What is to be done. Its texts are copied. */
struct password_work {
	const char *password; /* NUL-terminated */
	bool verify;          /* else: hash */
	const char *stored;   /* verify: the hash to check against; NULL: none, false after the same
	                         work */
	unsigned cost; /* of the new hash; verify: the work, which a stored hash may not exceed */
	uint64_t deadline; /* CLOCK_MONOTONIC ns; 0 = none */
	void (*done)(void *owner, const struct password_result *result);
	void *owner;
	const void *client; /* whom the answer is for; NULL: the job runs although nobody waits */
};

struct password_pool;

struct password_pool_stats {
	unsigned threads, running, queued;
	uint64_t hashed, verified, timeouts, rounds;
};

/* NULL when out of memory or threads. */
struct password_pool *password_pool_new(uv_loop_t *loop, unsigned threads, unsigned queue);
/* Bytes of memory that a job takes. */
size_t password_pool_bytes(const struct password_work *work);
/* last_cycle: the connection's, 0 at first. Fails, without done(), when the queue is full or out of
 * memory. */
int password_pool_submit(struct password_pool *pool, const struct password_work *work,
	uint64_t *last_cycle, struct err *err);
/* The client is gone: what waits for it is done() with an error at once; what a thread has begun
 * goes on. */
void password_pool_drop(struct password_pool *pool, const void *client);
void password_pool_stats(struct password_pool *pool, struct password_pool_stats *stats);
/* The daemon ends in spite of jobs: each is done() with ERR_SHUTTING_DOWN, and no more are taken.
 */
void password_pool_abandon(struct password_pool *pool);
/* No jobs may be pending but those that were returned. Frees itself in a close callback, so the
 * loop must run on; while threads still work it stays. NULL is fine. */
void password_pool_free(struct password_pool *pool);

#endif
