/* What the calls of all connections share. Thread: the loop thread.
 *
 * prefix: dispatcher_ */
#ifndef PIERRE_DISPATCHER_H
#define PIERRE_DISPATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "../../backends/store.h"
#include "../../protocol/json/json.h"
#include "../base/runtime.h"
#include "../clients/connection.h"
#include "members.h"
#include "own_method.h"
#include "password_cost.h"
#include "password_pool.h"
#include "pause.h"
#include "request.h"

struct dispatcher {
	struct runtime *runtime;
	struct store *store;
	const struct own_method *own_methods; /* by a method's index */
	struct admin *admin;                  /* theirs */
	bool stopping;                        /* the daemon ends: no call begins any more */
	unsigned in_flight;                   /* calls begun and not answered, of all connections */
	size_t expected; /* bytes charged for answers that the store has not read yet */
	bool submitted;  /* the store has calls that were not flushed */
	bool submitting; /* in the store's submit: no call ends there, which is asserted */
	struct request_pool requests;
	struct pause pause;
	struct password_pool *passwords;
	struct password_cost password_cost;
	struct members_methods transactions;

	struct json json;     /* the line's nodes; reused */
	bool many_nodes;      /* a line since the last trim had many: they are kept for the next */
	struct arena scratch; /* of one request's envelope */

	int64_t wall_offset;      /* wall clock minus CLOCK_MONOTONIC, µs */
	uint64_t wall_checked;    /* CLOCK_MONOTONIC ns when the offset was taken */
	uint64_t slow_from;       /* ns; a second in which slow calls are counted */
	unsigned slow_logged;     /* in that second */
	uint64_t slow_suppressed; /* since the last logged one */
};

static inline struct dispatcher *dispatcher_of(const struct connection *connection)
{
	return connection->set->owner;
}

/* Lends a call to the store; its done() comes in a later step of the loop. */
static inline void dispatcher_submit(struct dispatcher *dispatcher, struct call *call)
{
	dispatcher->submitted = dispatcher->submitting = true;
	dispatcher->store->ops->submit(dispatcher->store, call);
	dispatcher->submitting = false;
}

#endif
