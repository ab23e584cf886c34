/* The time of the loop iteration: read when a line has ended, not for each call. Thread: the loop
 * thread. */
#ifndef PIERRE_ITERATION_CLOCK_H
#define PIERRE_ITERATION_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct iteration_clock {
	uint64_t now; /* CLOCK_MONOTONIC ns */
	bool stale;   /* the loop may have slept since */
};

static inline void iteration_clock_read(struct iteration_clock *clock)
{
	clock->now = uv_hrtime();
}

/* Before lines are handled. */
static inline void iteration_clock_wake(struct iteration_clock *clock)
{
	if (!clock->stale)
		return;
	iteration_clock_read(clock);
	clock->stale = false;
}

#endif
