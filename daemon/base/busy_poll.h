/* Looking again for a moment before the loop goes to sleep. See busy_poll.c. Thread: the loop's. */
#ifndef PIERRE_BUSY_POLL_H
#define PIERRE_BUSY_POLL_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct busy_poll {
	uv_idle_t idle;       /* active while the loop polls without sleeping */
	uint64_t limit;       /* ns; 0: never */
	uint64_t quiet_since; /* uv_hrtime when there was nothing more to do; 0: something is */
	unsigned trust; /* rises with each call that came within the limit, halves with one that did
	                   not */
};

void busy_poll_init(struct busy_poll *poll, uv_loop_t *loop, uint64_t limit_us);
/* Each time before the loop waits. calm: so few calls are with threads or the database's server
 * that these do not need the processor more. */
void busy_poll_before_wait(struct busy_poll *poll, bool calm);
/* A client or the database has sent something. */
void busy_poll_heard(struct busy_poll *poll);
void busy_poll_close(struct busy_poll *poll);

#endif
