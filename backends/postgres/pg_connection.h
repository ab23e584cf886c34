/* One connection to the server, in pipeline mode.
 *
 * It has at most one batch in progress: calls that were sent together and end with one Sync. A
 * batch is one implicit transaction and one commit. Calls that arrive meanwhile wait on the
 * connection for the next batch, and batches grow with the load. Calls are answered only after the
 * Sync's own result.
 *
 *     CLOSED -> CONNECTING -> IDLE <-> BUSY
 *        ^          |           |        |
 *        |          |           v        v
 *        +----------+-------- CLOSING <--+
 *
 * A connection that is no longer reliable is CLOSING until its batch ends. */
#ifndef PIERRE_PG_CONNECTION_H
#define PIERRE_PG_CONNECTION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/state.h"
#include "../call.h"

struct postgres_store;

enum { PG_BATCH_MAX = 1024 };

enum pg_connection_state {
	PG_CONNECTION_CLOSED,
	PG_CONNECTION_CONNECTING, /* a job uses it */
	PG_CONNECTION_IDLE,       /* connected, without a batch */
	PG_CONNECTION_BUSY,       /* a batch is in progress */
	PG_CONNECTION_CLOSING,    /* like BUSY, but accepts no new calls; or about to be CLOSED */
	PG_CONNECTION_STATES
};

extern const struct state_machine pg_connection_states;

/* The results expected from the server, in order. */
enum item_kind { ITEM_SETTINGS, ITEM_PREPARE, ITEM_CALL, ITEM_SYNC };

struct item {
	uint8_t kind;
	uint16_t statement;    /* ITEM_PREPARE: index in connection->prepared */
	uint16_t first, count; /* ITEM_CALL: range in connection->merged for a shared statement;
	                          count 0: only `call` */
	struct call *call;     /* ITEM_CALL, ITEM_PREPARE: the first of several; ITEM_SETTINGS: the
	                          first of all */
};

/* Effect of a server error on the call: the error is final, or the call runs again here, after
 * another Prepare, or on another connection. */
enum outcome { CALL_DONE, CALL_RETRY, CALL_REPREPARE, CALL_REPREPARE_ALL, CALL_SUSPECT, CALL_MOVE };

/* call->route of a waiting or running call: how to gather its batch. */
enum pg_route {
	ROUTE_TOGETHER,
	ROUTE_ALONE,
	ROUTE_MERGED, /* running, within a shared statement */
	ROUTE_KEPT,   /* the encoder keeps its result */
};

struct pg_connection {
	unsigned number; /* 1…; 0 means none in order->connection */
	uint8_t state;   /* enum pg_connection_state; changed by pg_connection_enter() */
	PGconn *pq;
	int socket;      /* registered with epoll; -1: none */
	bool want_write; /* epoll also waits for writability */
	bool all_sent;   /* libpq has sent the batch's last byte, its Sync */
	bool *prepared;  /* by method->index, followed by the shared statements in the same order */
	unsigned generation; /* part of the prepared statements' names; a loss changes all names */
	struct list waiting; /* calls for later batches, in order */
	unsigned waiting_count;
	struct list batch; /* running calls, in order */
	unsigned batch_count;
	unsigned locking;   /* running calls that change rows */
	size_t batch_bytes; /* bytes of their parameters: libpq copies them, and keeps the memory */
	struct item *items; /* results still to come */
	unsigned item_count, item_next;
	struct call **merged; /* the batch's calls that share statements, grouped by statement */
	unsigned merged_count;
	struct list kept;     /* results for the encoder once the batch has committed */
	unsigned large;       /* calls of the batch whose connection's last answer was large */
	struct call *failed;  /* the call that aborted the batch's transaction */
	enum outcome failure; /* what happens to it next */
	bool commit_failed;   /* the Sync itself failed: no single call is the cause */
	size_t received;      /* approximate bytes of one result; while idle: of unexpected data */
	bool looked_again;    /* a failed commit: one more wait for the Sync's result */
	bool slow_result;     /* the last read left a result incomplete */
	bool unserved;        /* a pooler had no server for the batch: nothing of it has run */
	bool warned;          /* the server sent a warning during this batch */
	unsigned batch_limit; /* max calls of the next batch; shrinks on failures, then grows */
	char close_reason[120]; /* the server's reason for closing the connection */
	uint64_t born, last_used, cancelled_at, sent_at;
	uint64_t due; /* earliest deadline in the batch; 0: none */
};

static inline void pg_connection_enter(
	struct pg_connection *connection, enum pg_connection_state state)
{
	state_change(&pg_connection_states, &connection->state, state, connection->number);
}

/* Whether it accepts calls. */
static inline bool pg_connection_usable(const struct pg_connection *connection)
{
	return connection->state == PG_CONNECTION_IDLE || connection->state == PG_CONNECTION_BUSY;
}

static inline bool pg_connection_has_batch(const struct pg_connection *connection)
{
	return connection->state == PG_CONNECTION_BUSY ||
		connection->state == PG_CONNECTION_CLOSING;
}

/* Allocates its lists; false: out of memory, and pg_connection_free cleans up. */
bool pg_connection_init(struct pg_connection *connection, unsigned number);
void pg_connection_free(struct pg_connection *connection);
/* Takes over a new connection of libpq: CONNECTING -> IDLE. */
void pg_connection_adopt(
	struct postgres_store *store, struct pg_connection *connection, PGconn *pq);
/* Gathers and sends the next batch, if any. */
bool pg_connection_send(struct postgres_store *store, struct pg_connection *connection);
/* The socket is readable or writable. */
void pg_connection_receive(struct postgres_store *store, struct pg_connection *connection);
/* The connection is lost: its calls move to others or fail. */
void pg_connection_break(struct postgres_store *store, struct pg_connection *connection,
	const char *reason, bool timed_out);
/* Returns its waiting calls to the store. */
void pg_connection_close(struct postgres_store *store, struct pg_connection *connection);

#endif
