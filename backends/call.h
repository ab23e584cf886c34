/* One call of a method, from decoded parameters to the JSON text of its answer.
 *
 * The daemon's dispatch owns it and lends it to the store between store->submit and call->done.
 * Meanwhile only the store touches it, from any of its threads, one at a time. */
#ifndef PIERRE_CALL_H
#define PIERRE_CALL_H

#include <stdatomic.h>
#include <stdlib.h>

#include "../protocol/arena.h"
#include "../protocol/buffer.h"
#include "../protocol/catalog.h"
#include "../protocol/error.h"
#include "../protocol/list.h"

struct call;
struct history;
struct idempotency;
struct standby_read;

/* Keeps the calls of one client connection in order. Each connection has one, initialised by
 * order_init; it must outlive its calls.
 *
 * The connection sets `role` and `gone` at any time; the store's threads read them before a call
 * begins. The rest belongs to the store, on the loop thread only. */
struct order {
	atomic_uchar role;      /* enum role that the peer has now */
	atomic_bool gone;       /* the client no longer waits for answers */
	unsigned reads, writes; /* submitted and not done */
	struct list pending;    /* calls that wait for earlier ones */
	bool large; /* the last read had a large answer: the next SQLite look-up goes to a reader
	               thread; PostgreSQL gives it a connection away from other calls */
	bool large_list; /* SQLite: the same for lists, which then wait among large answers */
	struct list large_calls, large_turn; /* SQLite: see threads/large.h, under its lock */
	unsigned connection; /* PostgreSQL: the connection of the unfinished calls */
	/* PostgreSQL: its calls in the batch being gathered (gather.c) */
	uint64_t gathered;    /* the batch that the following members describe */
	struct call *ordered; /* calls that lock rows, or follow one that does, newest first */
	unsigned ordered_count;
	unsigned lists;                         /* reads whose answer may be large */
	bool small_list;                        /* the last one was small */
	uint32_t ordered_reads, ordered_writes; /* their tables, as bits */
	uint64_t sent;                          /* the last batch that it had calls in */
	bool held_back; /* one call waits for the next batch, as do those behind it */
	/* PostgreSQL, while standbys are read: */
	struct history *history;    /* see standby/history.h; NULL: none yet */
	const struct order *client; /* of a history's own order: the client's; NULL: this one */
};

static inline void order_init(struct order *order)
{
	*order = (struct order){.role = ROLE_ADMIN};
	list_init(&order->pending);
	list_init(&order->large_calls);
	list_init(&order->large_turn);
}

/* Its calls are done. */
static inline void order_free(struct order *order)
{
	free(order->history);
	order->history = NULL;
}

struct call {
	struct list link; /* the store's, while lent */
	const struct method *method;
	struct value *values; /* method->bind_count, in the arena */
	struct arena arena;   /* wiped when it is reset */
	struct buffer answer; /* holds the start of the envelope; the store appends the result's
	                         JSON text */
	size_t answer_start;  /* start of the result; an error cuts the answer back to here */
	struct err err;       /* kind != ERR_NONE: the call failed, answer is cut to answer_start */
	struct order *order;
	struct idempotency *idempotency; /* its key, in the arena; NULL: none */
	int64_t now;                     /* wall clock, µs: the call's time */
	uint64_t deadline;               /* CLOCK_MONOTONIC ns; 0 = none */
	uint64_t submitted; /* the same clock, when the store received it; 0: it must not wait for a
	                       connection */
	char *kept; /* IMPL_VERIFY_PASSWORD: the row's password_hash, in the arena; NULL = no row */
	uint32_t rows;     /* rows read or touched, for the slow-call log */
	uint8_t attempts;  /* attempts, counted by the store */
	bool dropped;      /* it failed before it began: its client has disconnected */
	uint8_t format;    /* enum binding_format for which it was prepared */
	uint8_t route;     /* for the store: where the call runs */
	uint8_t place;     /* PostgreSQL: its part of the batch */
	uint64_t number;   /* PostgreSQL: arrival number */
	uint64_t position; /* PostgreSQL: the position of the log that a read on a standby must
	                      see, or that covers what a read on the primary has seen; 0: none */
	struct standby_read *standby; /* PostgreSQL: while standbys have it (standby/split.h) */
	struct call *before;          /* PostgreSQL: see order->ordered */
	struct call *members;        /* IMPL_TRANSACTION: its calls, in the arena (transaction.h) */
	unsigned member_count;       /* IMPL_TRANSACTION */
	struct call *within;         /* the transaction whose member it is; NULL: none */
	void (*done)(struct call *); /* loop thread; never inside submit */
};

static inline struct call *call_of(struct list *node)
{
	return list_entry(node, struct call, link);
}

/* Whether it may write. The daemon's own work has no method and does not count. */
static inline bool call_writes(const struct call *call)
{
	return call->method != NULL && method_may_write(call->method);
}

/* Ends the calls that submit() could answer. done() may submit further calls, so it never runs
 * inside submit(): the store collects these calls for flush and process to deliver. */
static inline void call_deliver(struct list *completed)
{
	while (!list_empty(completed)) {
		struct call *call = call_of(list_first(completed));

		list_remove(&call->link);
		call->done(call);
	}
}

#endif
