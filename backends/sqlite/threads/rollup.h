/* Rolls up usage rows into counts for each hour and day, and drops rows older than they are kept.
 * On the writer's thread, with its batches and between them. */
#ifndef PIERRE_SQLITE_ROLLUP_H
#define PIERRE_SQLITE_ROLLUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct session;
struct sqlite_store;

struct rollup {
	uint64_t look_at;  /* the loop thread only, CLOCK_MONOTONIC ns */
	atomic_bool looks; /* set every two seconds: other programs write rows, too */
	atomic_bool quiet; /* the daemon is paused: nothing is written */
	/* The writer's thread only. */
	int64_t counted;  /* rows that the session had changed after the last step */
	bool more;        /* the last step has left rows */
	bool summing;     /* it has left days to sum */
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
/* One step at the end of a batch's transaction, when it is due: it costs no sync of its own. A step
 * that fails leaves the batch as it was, where the transaction outlives the failure. True: the
 * caller calls rollup_ended. */
bool rollup_join(struct sqlite_store *store, struct session *session);
/* After a step's commit, or its failure. */
void rollup_ended(struct sqlite_store *store, bool committed);

#endif
