/* Rolls up usage rows into counts for each hour, and drops rows older than they are kept. On the
 * writer's thread, between its batches. */
#ifndef PIERRE_SQLITE_ROLLUP_H
#define PIERRE_SQLITE_ROLLUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct session;
struct sqlite_store;

struct rollup {
	uint64_t look_at;  /* the loop thread only, CLOCK_MONOTONIC ns */
	atomic_bool looks; /* set every five seconds: other programs write rows, too */
	atomic_bool quiet; /* the daemon is paused: nothing is written */
	/* The writer's thread only. */
	unsigned written; /* calls since the last step */
	bool more;        /* the last step has left rows */
	bool dropping;    /* it has left rows to drop */
	uint64_t drop_at; /* when rows may be old enough again, CLOCK_MONOTONIC ns */
};

/* Loop thread, about once a second. */
void rollup_tick(struct sqlite_store *store);
void rollup_pause(struct sqlite_store *store, bool paused);

/* Whether a step is to run now. */
bool rollup_due(struct sqlite_store *store, struct session *session);
/* One step, within a transaction of its own. A result code. */
int rollup_run(struct sqlite_store *store, struct session *session);
/* After its commit, or its failure. */
void rollup_ended(struct sqlite_store *store, bool committed);

#endif
