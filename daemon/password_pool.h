/* Threads for bcrypt, which takes a quarter of a second: nothing of it may run on the loop thread.
 *
 * Jobs wait in a bounded queue. Connections take turns, so that one that sends many passwords does not keep the others from
 * logging in; those of one connection are begun in order. A job whose deadline has passed is given back unworked. All functions and
 * done() on the loop thread; a job between submit and done belongs to the pool. */
#ifndef PIERRE_PASSWORD_POOL_H
#define PIERRE_PASSWORD_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "../backends/password.h"
#include "../protocol/list.h"

struct password_job {
	struct list link;
	const char *password;          /* NUL-terminated */
	bool verify;                   /* else: hash */
	const char *stored;            /* verify: the hash to check against; NULL: none, false after the same work */
	unsigned cost;
	uint64_t turn;                 /* its place: lower ones are begun first */
	uint64_t deadline;             /* CLOCK_MONOTONIC ns; 0 = none */
	void (*done)(struct password_job *);
	char hash[PASSWORD_HASH_MAX];  /* the result of hashing */
	bool matches;                  /* the result of verifying */
	struct err err;                /* kind != ERR_NONE: it failed (or ran out of time) */
};

struct password_pool;

struct password_pool_stats {
	unsigned threads, running, queued;
	uint64_t hashed, verified, timeouts;
};

/* NULL when memory or threads are out. */
struct password_pool *password_pool_new(uv_loop_t *loop, unsigned threads, unsigned queue);
/* last_turn: the connection's, 0 at first. false: the queue is full. */
bool password_pool_submit(struct password_pool *pool, struct password_job *job, uint64_t *last_turn);
void password_pool_stats(struct password_pool *pool, struct password_pool_stats *stats);
/* The daemon ends in spite of jobs: each is done() with ERR_SHUTTING_DOWN, but those that threads work on are told to
 * `running` and stay theirs. The pool must not be freed after that. */
void password_pool_abandon(struct password_pool *pool, void (*running)(struct password_job *));
/* No jobs may be under way. Frees itself in a close callback, so the loop must run on. NULL is fine. */
void password_pool_free(struct password_pool *pool);

#endif
