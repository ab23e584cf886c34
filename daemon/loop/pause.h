/* New calls wait while the daemon is paused, and go on in the order in which they came when it is
 * resumed.
 *
 * What was begun before goes on; the daemon's own methods are answered all the same. A call's time
 * limit runs while it waits: it is then a timeout of which nothing was done. A stop does not let
 * them go, since nobody resumed: they are told to try again. Thread: the loop thread. */
#ifndef PIERRE_PAUSE_H
#define PIERRE_PAUSE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "../calls/request.h"

struct pause {
	struct daemon *daemon;
	bool paused;
	struct list waiting; /* requests in REQUEST_PAUSED, as they came */
	unsigned count;
	uv_timer_t
		timer; /* the next time limit; after resuming: to let them go with the next turn */
	uint64_t due;  /* what the timer is set to, ns; 0 = not */
};

int pause_init(struct pause *pause, struct daemon *daemon);
void pause_close(struct pause *pause);
void pause_begin(struct pause *pause);
void pause_end(struct pause *pause);
/* The daemon stops: who waits is told so. */
void pause_give_up(struct pause *pause);
/* A call that comes now has to wait, behind those that do. */
static inline bool pause_holds(const struct pause *pause)
{
	return pause->paused || pause->count > 0;
}
void pause_hold(struct pause *pause, struct request *request);

#endif
