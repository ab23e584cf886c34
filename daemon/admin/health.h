/* The daemon's health: a probe asks the database, at most one at a time; requests that come
 * meanwhile share it. An answer comes within HEALTH_WAIT_MS even when the database gives none.
 * Thread: the loop thread. */
#ifndef PIERRE_HEALTH_H
#define PIERRE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "../../backends/store.h"
#include "../calls/request.h"

struct admin;

enum { HEALTH_WAIT_MS = 2000 };
#define HEALTH_STALL_NS                                                                            \
	UINT64_C(30000000000) /* a thread that is stalled for so long is not alive */

struct health {
	struct admin *admin;
	uv_timer_t timer;    /* ends the wait for the probe */
	struct list waiting; /* requests in REQUEST_HEALTH */
	struct call probe;
	struct order order;
	bool probing;           /* the probe is with the store */
	uint64_t probe_started; /* ns */
	enum store_health status;
	uint64_t latency_ns;  /* of the last probe */
	uint64_t answered_at; /* ns: when the database last answered well; 0 = never */
	char detail[ERR_MESSAGE_MAX];
};

int health_init(struct health *health, struct admin *admin);
void health_close(struct health *health);
/* Asks the database and answers the request then. */
void health_ask(struct health *health, struct request *request);

#endif
