/* The checkpointer moves the log's pages into the database. See checkpoint.c. */
#ifndef PIERRE_SQLITE_CHECKPOINT_H
#define PIERRE_SQLITE_CHECKPOINT_H

#include <pthread.h>

#include "../session.h"

struct sqlite_store;
struct worker;

/* IDLE <-> RUNNING -> STOPPING -> STOPPED, and IDLE -> STOPPED. */
enum checkpointer_state {
	CHECKPOINTER_IDLE,
	CHECKPOINTER_RUNNING,  /* a pass is running */
	CHECKPOINTER_STOPPING, /* the thread ends after the current pass */
	CHECKPOINTER_STOPPED,
	CHECKPOINTER_STATES
};

struct checkpointer {
	struct session anchor; /* its read transaction, open during a pass, prevents a restart of
	                          the log */
	pthread_mutex_t lock;  /* protects the following members */
	pthread_cond_t wake;
	uint8_t state; /* enum checkpointer_state */

	/* The writer's thread only; lengths of the log, in pages. */
	int length;      /* at the last commit */
	int covered;     /* when the last pass was requested */
	int due;         /* when to begin */
	unsigned passes; /* since then */
};

/* Opens the connections and starts the thread. On failure err is set; call checkpoint_stop and
 * _free in either case. */
int checkpoint_start(struct sqlite_store *store, struct err *err);
/* The writer's thread, between two transactions. */
void checkpoint_if_due(struct worker *writer);
/* After the writer has ended: waits for the current pass. */
void checkpoint_stop(struct sqlite_store *store);
void checkpoint_free(struct sqlite_store *store);

#endif
