/* Which connection goes on, and when: the queues of connections, their shares of a loop iteration,
 * and who waits for memory. Thread: the loop thread. */
#ifndef PIERRE_SCHEDULER_H
#define PIERRE_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "../../protocol/list.h"
#include "../base/account.h"
#include "../base/runtime.h"

/* What a connection does with its input. */
enum intake {
	INTAKE_READING,   /* all lines that were read are begun; reads on */
	INTAKE_RUNNING,   /* its lines are being begun right now */
	INTAKE_QUEUED,    /* has lines, which go on in the next iteration */
	INTAKE_LONG,      /* the same; the next line is a long one */
	INTAKE_DEFERRED,  /* has lines, which wait for its own calls and answers */
	INTAKE_THROTTLED, /* waits for memory */
	INTAKE_STOPPED,   /* nothing of it is begun any more */
};

/* A connection as the scheduler sees it. */
struct scheduled {
	uint64_t number;        /* of the connection, counted from the start */
	uint8_t intake;         /* enum intake */
	bool next_is_long;      /* the next line: it goes on among those with long lines */
	struct list queue;      /* in ready, long_ready or throttled, as `intake` says */
	unsigned in_flight;     /* calls that are begun and not answered */
	struct account account; /* all that is held for it: lines, calls, batches, answers */
};

struct scheduler {
	struct runtime *runtime;
	struct list ready, long_ready, throttled;
	uv_idle_t more;                    /* active while one is ready: the loop must not sleep */
	bool active;                       /* `more` is */
	void (*serve)(struct scheduled *); /* the owner's: begins lines, to the end of its share */
	struct scheduled *favoured; /* one that may go on, a call at a time, however short memory
	                               is; NULL: none */
	bool favoured_waits;        /* it has done nothing since the last check */
	struct account account;     /* what is held for all clients */
	size_t memory_peak;         /* since it was last returned to the system */
	bool long_iteration;        /* those with long lines are served now */
	size_t long_bytes, long_bytes_max; /* of long lines that this iteration has taken, and the
	                                      largest one */
	uint64_t iteration_ends;           /* by the iteration's clock; 0: nothing was done yet */
};

void scheduler_init(
	struct scheduler *scheduler, struct runtime *runtime, void (*serve)(struct scheduled *));
void scheduler_close_handles(struct scheduler *scheduler);

void scheduler_add(struct scheduler *scheduler, struct scheduled *scheduled);
/* Changes the state, and the queue with it. */
void scheduler_move(struct scheduler *scheduler, struct scheduled *scheduled, enum intake intake);
/* It goes on in the next iteration. */
void scheduler_ready(struct scheduler *scheduler, struct scheduled *scheduled);
/* A long line may be begun now; counts it. */
bool scheduler_takes_long(struct scheduler *scheduler, size_t length);
/* This part of the iteration has had its time: the rest waits for the next one. */
bool scheduler_iteration_over(struct scheduler *scheduler);
bool scheduler_idle(const struct scheduler *scheduler);

/* The connection has to wait for memory before it goes on: it holds more than is free. */
bool scheduler_memory_short(const struct scheduler *scheduler, const struct scheduled *scheduled);
/* Memory that is still free for answers. `expected`: what is charged for answers that are not read
 * yet. */
size_t scheduler_room(const struct scheduler *scheduler, size_t expected);
/* The connection waits for no memory any more. */
void scheduler_content(struct scheduler *scheduler, const struct scheduled *scheduled);
/* End of an iteration: connections for which there is memory again go on. */
void scheduler_iteration(struct scheduler *scheduler);
/* Once a second: a favoured connection that does nothing makes way, and memory is returned to the
 * system after a flood. */
void scheduler_trim(struct scheduler *scheduler);

#endif
