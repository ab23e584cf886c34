/* New calls wait while the daemon is paused, and go on in the order in which they came when it is
 * resumed.
 *
 * Calls in flight go on; the daemon's own methods are answered all the same. A call's time limit
 * runs while it waits: it then ends as a timeout of which nothing was done. A stop refuses those
 * that wait, since nobody has resumed the daemon: their clients may try again. Thread: the loop
 * thread. */
#ifndef PIERRE_PAUSE_H
#define PIERRE_PAUSE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "../base/runtime.h"
#include "request.h"

struct pause {
	struct runtime *runtime;
	void (*go_on)(struct request *request);
	bool paused;
	struct list waiting; /* requests in REQUEST_PAUSED, as they came */
	unsigned count;
	uv_timer_t timer; /* the next time limit; after resuming: lets them go in the next
	                     iteration */
	uint64_t due;     /* what the timer is set to, ns; 0 = not */
};

int pause_init(
	struct pause *pause, struct runtime *runtime, void (*go_on)(struct request *request));
void pause_close(struct pause *pause);
/* in_flight: all calls, those that wait included. */
void pause_begin(struct pause *pause, unsigned in_flight);
void pause_end(struct pause *pause);
/* The daemon stops: refuses the calls that wait. */
void pause_give_up(struct pause *pause);
/* A call that comes now has to wait, behind those that do. */
static inline bool pause_holds(const struct pause *pause)
{
	return pause->paused || pause->count > 0;
}
void pause_hold(struct pause *pause, struct request *request);

#endif
