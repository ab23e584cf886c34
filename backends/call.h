/* One call of a method: from decoded parameters to the JSON text of its answer. The unit that
 * stores run.
 *
 * Owned by the daemon's dispatch; lent to the store between store->submit and call->done. While it
 * is lent only the store touches it (any of its threads, one at a time). */
#ifndef PIERRE_CALL_H
#define PIERRE_CALL_H

#include <stdatomic.h>

#include "../protocol/arena.h"
#include "../protocol/buffer.h"
#include "../protocol/catalog.h"
#include "../protocol/error.h"
#include "../protocol/list.h"

struct call;

/* What keeps the calls of one client connection in their order. One in each connection; zero it
 * with order_init. It must outlive its calls (the connection is freed after them). `role` and
 * `gone` are set by the connection at any time and read by the store's threads before a call
 * begins; the rest belongs to the store, on the loop thread only. */
struct order {
	atomic_uchar role;      /* enum role that the peer has now */
	atomic_bool gone;       /* nobody waits for the answers any more */
	unsigned reads, writes; /* submitted and not done */
	struct list pending;    /* calls that wait for those before them */
	bool large;             /* the last read was: SQLite's next look-up goes to a reader thread,
	                           PostgreSQL's keeps out of the others' way */
	unsigned connection;    /* PostgreSQL: the pipeline that the unfinished ones travel in */
	/* PostgreSQL: what the batch that is being made has of them (gather.c) */
	uint64_t gathered;    /* of which batch the rest tells */
	struct call *ordered; /* the calls that lock or follow one that does, the newest first */
	unsigned ordered_count;
	uint32_t ordered_reads, ordered_writes; /* their tables, as bits */
	bool held_back; /* one waits for the next batch, and so do those behind it */
};

static inline void order_init(struct order *order)
{
	*order = (struct order){.role = ROLE_ADMIN};
	list_init(&order->pending);
}

struct call {
	struct list link; /* the store's, while lent */
	const struct method *method;
	struct value *values; /* method->bind_count, in the arena */
	struct arena arena;   /* wiped when it is reset */
	struct buffer answer; /* holds the envelope's beginning; the store appends the result's JSON
	                         text */
	size_t answer_start;  /* where the result begins: what an error cuts back to */
	struct err err;       /* kind != ERR_NONE: the call failed, answer is cut to answer_start */
	struct order *order;
	int64_t now;        /* wall clock, µs: the call's time */
	uint64_t deadline;  /* CLOCK_MONOTONIC ns; 0 = none */
	uint64_t submitted; /* the same clock, when the store got it; 0: it has no time to wait for
	                       a connection */
	char *kept; /* IMPL_VERIFY_PASSWORD: the row's password_hash, in the arena; NULL = no row */
	uint32_t rows;               /* rows read or touched, for the slow-call log */
	uint8_t attempts;            /* the store's count of tries */
	bool dropped;                /* it failed before it began, since its client is gone */
	uint8_t route;               /* the store's note of where it runs */
	uint8_t place;               /* PostgreSQL: its part of the batch */
	uint64_t number;             /* PostgreSQL: the order of arrival */
	struct call *before;         /* PostgreSQL: see order->ordered */
	void (*done)(struct call *); /* loop thread; never inside submit */
};

static inline struct call *call_of(struct list *node)
{
	return list_entry(node, struct call, link);
}

/* Ends the calls that submit() could answer. done() may submit further calls, so it never runs
 * within submit(): such calls go to a list of the store, which flush and process deliver. */
static inline void call_deliver(struct list *completed)
{
	while (!list_empty(completed)) {
		struct call *call = call_of(list_first(completed));

		list_remove(&call->link);
		call->done(call);
	}
}

#endif
