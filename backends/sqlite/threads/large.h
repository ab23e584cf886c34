/* Reads with large answers. A reader moves a read here when its answer exceeds STORE_LARGE_ANSWER:
 * small answers do not wait for large ones, and clients take turns.
 *
 * A large answer stays in memory until its client has taken it. While clients hold all of
 * memory-limit, these calls therefore wait, up to their deadlines. One begins every
 * LARGE_FORCED_NS nevertheless, so that clients that take no answers delay the others only. */
#ifndef PIERRE_SQLITE_LARGE_H
#define PIERRE_SQLITE_LARGE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../../../protocol/list.h"

struct call;
struct sqlite_store;
struct worker;

struct large_reads {
	pthread_mutex_t lock;
	struct list turns; /* struct order: connections with such calls, the next one first */
	unsigned running, running_max;
	uint64_t began;      /* clock_ns() when the last one did */
	atomic_uint waiting; /* calls in all lists */
	atomic_size_t free;  /* memory that clients may still take: large_memory() */
	atomic_size_t made;  /* answers that the loop has not received yet */
	atomic_bool no_room; /* a call has found no memory */
};

void large_init(struct large_reads *large);
void large_destroy(struct large_reads *large);
/* Whether the read was interrupted because its answer is large. */
bool large_is(const struct worker *reader, const struct call *call);
/* Adds a call that has no answer yet. Thread: any. */
void large_add(struct sqlite_store *store, struct call *call);
/* Runs one of them, if there is one and it may begin. Thread: a reader. */
void large_run(struct worker *reader);
/* The loop has received the call's answer. */
void large_received(struct sqlite_store *store, const struct call *call);
/* Memory that clients may still take. Thread: the loop. */
void large_memory(struct sqlite_store *store, size_t free);
/* Ends calls whose time has run out, or all of them at the end. Thread: the loop. */
void large_expire(struct sqlite_store *store);

#endif
