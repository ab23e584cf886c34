/* daemon.wait_for: requests that wait until the database has reached a position.
 *
 * A probe asks the database for its own position, at most one at a time and for all of them; the
 * pauses between two grow. Between two probes the wait occupies no connection to the database. The
 * requests behind one that waits are held back by its connection, as behind a password that is
 * hashed. Thread: the loop thread. */
#ifndef PIERRE_WAIT_FOR_H
#define PIERRE_WAIT_FOR_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "../../backends/store.h"
#include "../calls/request.h"

struct admin;

struct wait_for {
	struct admin *admin;
	struct list waiting; /* calls of requests in REQUEST_BEHIND */
	struct call probe;   /* daemon.position */
	struct order order;
	bool probing;     /* the probe is with the store */
	uint64_t step_ms; /* the pause before the next probe */
	uint64_t due;     /* when it follows, ns */
	uv_timer_t timer; /* the next probe, time limits, clients that are gone */
};

int wait_for_init(struct wait_for *self, struct admin *admin);
void wait_for_close(struct wait_for *self);
/* It is the request's turn: answers it once the database is there. */
void wait_for_begin(struct wait_for *self, struct request *request);
/* The daemon stops: refuses those that wait. */
void wait_for_give_up(struct wait_for *self);

#endif
