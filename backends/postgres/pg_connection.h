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
#include "cluster/guard.h"
#include "pg_batch.h"

struct postgres_store;

enum pg_connection_state {
	PG_CONNECTION_CLOSED,
	PG_CONNECTION_CONNECTING, /* a job uses it */
	PG_CONNECTION_IDLE,       /* connected, without a batch */
	PG_CONNECTION_BUSY,       /* a batch is in progress */
	PG_CONNECTION_CLOSING,    /* like BUSY, but accepts no new calls; or about to be CLOSED */
	PG_CONNECTION_STATES
};

extern const struct state_machine pg_connection_states;

#define PG_PREPARED (2 * catalog_method_count + 2)

struct pg_connection {
	unsigned number; /* 1…; 0 means none in order->connection */
	uint8_t state;   /* enum pg_connection_state; changed by pg_connection_enter() */
	PGconn *pq;
	int socket;      /* registered with the epoll descriptor; -1: none */
	bool want_write; /* epoll waits for room to write, too */
	bool *prepared;  /* PG_PREPARED: by method->index; behind these once more, the statements
	                    for many; then those about keys */
	unsigned generation; /* part of the prepared statements' names: after a loss all get new
	                        ones */
	struct list waiting; /* calls for the next batches, in order */
	unsigned waiting_count;
	struct pg_batch batch;  /* under way */
	size_t received;        /* bytes of one result so far, roughly; while idle: of unrequested
	                           messages */
	unsigned batch_limit;   /* most calls of the next batch; shrinks on failures, grows again */
	char close_reason[120]; /* why the server ends the connection, in its own words */
	uint64_t born, last_used;
	uint32_t timeline; /* of the primary that it leads to; 0: unknown, or not the same one */
	bool standby;      /* it leads to a standby, as far as is known */
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
void pg_connection_adopt(struct postgres_store *store, struct pg_connection *connection, PGconn *pq,
	const struct lineage *lineage);
/* Gathers and sends the next batch, if any. */
bool pg_connection_send(struct postgres_store *store, struct pg_connection *connection);
/* On an idle connection: removes old idempotency keys. */
void pg_connection_forget(struct postgres_store *store, struct pg_connection *connection);
/* Writes as much as the socket accepts; epoll reports when the rest can follow. False: the
 * connection is lost. */
bool pg_connection_push(struct postgres_store *store, struct pg_connection *connection);
/* Keeps what the server says when it ends the connection. */
void pg_connection_close_reason(struct pg_connection *connection, const PGresult *result);
/* It accepts no more calls. */
void pg_connection_closing(struct pg_connection *connection);
/* The connection is lost: its calls move to others or fail. */
void pg_connection_break(struct postgres_store *store, struct pg_connection *connection,
	const char *reason, bool timed_out);
/* Returns its waiting calls to the store. */
void pg_connection_close(struct postgres_store *store, struct pg_connection *connection);

#endif
