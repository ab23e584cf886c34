/* A batch under way on a connection: calls that were sent together and end with one Sync.
 *
 *     EMPTY -> GATHERED -> SENT -> EMPTY
 *                 |          |
 *                 +----------+--> FAILED --> EMPTY
 *                 +----------+--> COMMIT_FAILED -> ENDING -> EMPTY
 *
 * An open batch is GATHERED until its end is sent.
 *
 * The results, or the loss of the connection, end a batch in any state. Only in SENT may a lost
 * batch be committed: before it, the server lacks the Sync; in the others, it has refused. */
#ifndef PIERRE_PG_BATCH_H
#define PIERRE_PG_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/state.h"
#include "../call.h"
#include "../transaction.h"
#include "standby/proof.h"

struct pg_connection;
struct postgres_store;

enum { PG_BATCH_MAX = 1024, PG_BATCH_KEYED_MAX = 256 };

enum pg_batch_state {
	PG_BATCH_EMPTY,         /* none is under way */
	PG_BATCH_GATHERED,      /* its last byte, its Sync, has not left libpq */
	PG_BATCH_SENT,          /* the server may commit it */
	PG_BATCH_FAILED,        /* a call ended its transaction */
	PG_BATCH_COMMIT_FAILED, /* the Sync itself failed: no call of the batch can be blamed */
	PG_BATCH_ENDING,        /* as COMMIT_FAILED; only the Sync's own result is missing */
	PG_BATCH_UNSERVED,      /* a pooler had no server for it: none of it was done */
	PG_BATCH_LEFT_OPEN,     /* a transaction is still open: its Sync has committed nothing */
	PG_BATCH_STATES
};

extern const struct state_machine pg_batch_states;

/* What the server will answer next, in order. */
enum item_kind {
	ITEM_SETTINGS,
	ITEM_PREPARE,
	ITEM_CALL,
	ITEM_BEGIN,
	ITEM_FIND_KEYS, /* see idempotency/pg_replay.h */
	ITEM_ADD_KEYS,
	ITEM_FORGET_KEYS,
	ITEM_COMMIT,
	ITEM_ROLLBACK,
	ITEM_TOLD, /* see standby/proof.h */
	ITEM_SHOWN,
	ITEM_COVERED,
	ITEM_SYNC
};

struct item {
	uint8_t kind;
	uint16_t statement;    /* ITEM_PREPARE: its place in connection->prepared */
	uint16_t first, count; /* ITEM_CALL: of batch->merged, when it is one statement for many;
	                          count 0: for `call` alone */
	struct call *call; /* ITEM_CALL, ITEM_PREPARE; the first of many; ITEM_SETTINGS: the first
	                      of all; ITEM_BEGIN, ITEM_COMMIT, ITEM_ROLLBACK: the transaction */
};

/* What an error of the server means for the call: it stands, or the call runs again (there,
 * prepared anew, or on another connection). */
enum outcome { CALL_DONE, CALL_RETRY, CALL_REPREPARE, CALL_REPREPARE_ALL, CALL_SUSPECT, CALL_MOVE };

/* call->route of the calls that wait or run: how their batch is made. */
enum pg_route {
	ROUTE_TOGETHER,
	ROUTE_ALONE,
	ROUTE_MERGED, /* under way, within a statement for many */
	ROUTE_KEPT,   /* its result is kept for the encoder */
	ROUTE_DROPPED /* there was no memory for its result: it runs again */
};

/* It is part of its connection, and serves one batch after the other. Its lists are allocated when
 * it is first used. */
struct pg_batch {
	uint8_t state;     /* enum pg_batch_state: pg_batch_enter() */
	bool slow_result;  /* the last read did not complete the result at hand */
	bool warned;       /* the server has warned of something */
	unsigned number;   /* its connection's, for the log */
	struct list calls; /* under way, in order; none: a lone Sync */
	unsigned count;    /* of them */
	unsigned locking;  /* calls that change rows */
	unsigned large;    /* calls whose connection's last answer was large */
	unsigned lists;    /* reads whose answer may be large */
	unsigned unknown;  /* lists of clients that have had none yet */
	unsigned causal;   /* reads that standbys may answer, too */
	bool writes;       /* some calls may write */
	bool quick; /* its end is not far, and no other batch depends on it: one may be sent behind
	               it */
	uint64_t gathered;           /* its number in the store: see order->sent */
	const struct call *admitted; /* the call for whose large answer there is memory, or NULL */
	size_t kept_bytes;           /* of results in `kept` */
	size_t bytes;       /* of their parameters: libpq copies them, and keeps the memory */
	struct item *items; /* what answers are still to come */
	unsigned item_count, item_next;
	struct call **merged; /* calls that share statements, those of each in a row */
	unsigned merged_count;
	struct call **keyed; /* calls with an idempotency key; those first that are looked up */
	unsigned keyed_count, looked_count;
	/* A call with members (transaction.h) is alone in its batch. It has a BEGIN of its own, and
	 * the Sync behind its statements ends nothing. */
	struct call *transaction; /* NULL: none */
	/* Its end follows once the results are there: the keys with their answers, the COMMIT or
	 * ROLLBACK of a transaction, and the Sync. Until then nothing is committed. */
	bool open;
	bool upkeep; /* the daemon's own work: does not count as a use of the connection, whose next
	                user would rely on it after a long silence */
	bool replay; /* it has found keys: it is rolled back, and its calls run again */
	unsigned encoding;     /* a transaction's results that are with the encoder */
	bool encoded;          /* none is any more; counted in store->encoded */
	struct list kept;      /* results that the encoder gets once the batch has committed */
	struct call *failed;   /* the call that ended the transaction, or its last one */
	enum outcome failure;  /* what is to become of it */
	struct proof proof;    /* while standbys are read */
	uint64_t sent_at, due; /* due: the first deadline of a call; 0: none */
	uint64_t cancelled_at; /* 0: it is not cancelled */
};

static inline void pg_batch_enter(struct pg_batch *batch, enum pg_batch_state state)
{
	state_change(&pg_batch_states, &batch->state, state, batch->number);
}

/* A call that is alone in its batch, whatever happens: the health check, whose success says nothing
 * about a commit, a transaction, and a position, which covers the calls before it once they are
 * committed. */
static inline bool pg_batch_is_own(const struct call *call)
{
	return call->method == NULL || transaction_is(call) || call->method->impl == IMPL_POSITION;
}

/* Room for its lists; false: out of memory, pg_batch_free cleans up. */
bool pg_batch_init(struct pg_batch *batch, unsigned number);
void pg_batch_free(struct pg_batch *batch);
/* Nothing is left of the batch that it was before: calls may be gathered. */
void pg_batch_begin(struct pg_batch *batch);
/* EMPTY -> GATHERED: its calls are chosen. */
void pg_batch_gathered(struct pg_batch *batch);
/* An open batch has its results, and ends. False: it must be rolled back, or has been already. */
bool pg_batch_commits(struct pg_batch *batch);
/* The Sync of the first batch has its result: its calls are answered, or wait on the connection to
 * run again. The next batch under way becomes the first. */
void pg_batch_end(struct postgres_store *store, struct pg_connection *connection);
/* The connection is lost: the calls of its batches wait to run elsewhere, or fail. */
void pg_batch_lost(struct postgres_store *store, struct pg_connection *connection, bool timed_out);

#endif
