/* One connection to the server, in pipeline mode.
 *
 * A batch is calls that were sent together and end with one Sync: one implicit transaction and one
 * commit. Calls that arrive meanwhile wait on the connection for the next batch, and batches grow
 * with the load. Calls are answered only after the Sync's own result. With a far server some
 * batches are sent ahead, behind the one under way; the server answers them one after the other.
 *
 *     CLOSED -> CONNECTING -> IDLE <-> BUSY
 *        ^          |           |        |
 *        |          |           v        v
 *        +----------+-------- CLOSING <--+
 *
 * A connection that is no longer reliable is CLOSING until its batches end. */
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
	PG_CONNECTION_BUSY,       /* batches are under way */
	PG_CONNECTION_CLOSING,    /* like BUSY, but accepts no new calls; or about to be CLOSED */
	PG_CONNECTION_STATES
};

extern const struct state_machine pg_connection_states;

enum { PG_CONNECTIONS_MAX = 128 }; /* of a store */
/* Max batches under way on a connection; batches after which `quickest` counts. */
enum { PG_BATCHES = 4, PG_MEASURED_MIN = 8 };
/* A server whose answers take at least this long is far. */
#define PG_FAR_NS UINT64_C(1000000)

enum { PG_POSITION_STATEMENTS = 3, PG_KEY_STATEMENTS = 2 };

/* Where they begin among a connection's prepared statements. First, by method->index, come those of
 * one call, for many calls, and with an idempotency key. */
#define PG_PREPARED_MANY ((unsigned)catalog_method_count)
#define PG_PREPARED_ONCE (2 * (unsigned)catalog_method_count)
#define PG_PREPARED_POSITIONS (3 * (unsigned)catalog_method_count)
#define PG_PREPARED_KEYS (PG_PREPARED_POSITIONS + PG_POSITION_STATEMENTS)
#define PG_PREPARED (PG_PREPARED_KEYS + PG_KEY_STATEMENTS)

struct pg_connection {
	unsigned number; /* 1…; 0 means none in order->connection */
	uint8_t state;   /* enum pg_connection_state; changed by pg_connection_enter() */
	PGconn *pq;
	int socket;          /* registered with the epoll descriptor; -1: none */
	bool want_write;     /* epoll waits for room to write, too */
	bool *prepared;      /* PG_PREPARED: by method->index, and behind these as named above */
	unsigned generation; /* part of the prepared statements' names: after a loss all get new
	                        ones */
	struct list waiting; /* calls for the next batches, in order */
	unsigned waiting_count;
	struct pg_batch batches[PG_BATCHES]; /* a ring */
	struct pg_batch *front, *back; /* the first and the last that are under way; the same while
	                                  at most one is */
	unsigned in_flight;            /* batches under way */
	bool draining;                 /* one has failed: no other is sent before all have ended */
	bool session_ended;   /* the server has said so: it begins no batch behind the first */
	bool far;             /* batches may be sent ahead */
	unsigned measured;    /* batches, up to a limit */
	uint64_t quickest;    /* the shortest time of one, in ns: about the network's round trip */
	uint64_t cancelling;  /* when a cancel began that has not ended; 0: none */
	size_t received;      /* bytes of one result so far, roughly; while idle: of unrequested
	                         messages */
	unsigned batch_limit; /* most calls of the next batch; shrinks on failures, grows again */
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

/* It accepts no more calls. */
static inline void pg_connection_closing(struct pg_connection *connection)
{
	if (connection->state != PG_CONNECTION_CLOSING)
		pg_connection_enter(connection, PG_CONNECTION_CLOSING);
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

/* The batch with this place among those under way, from 0. */
static inline struct pg_batch *pg_connection_batch(
	const struct pg_connection *connection, unsigned place)
{
	unsigned first = (unsigned)(connection->front - connection->batches);

	return connection->front - first + (first + place) % PG_BATCHES;
}

/* Whether one of the batches under way holds calls of this client connection. */
static inline bool pg_connection_carries(
	const struct pg_connection *connection, const struct order *order)
{
	for (unsigned i = 0; i < connection->in_flight; i++)
		if (pg_connection_batch(connection, i)->gathered == order->sent)
			return true;
	return false;
}

/* Notes how long a batch has taken. */
static inline void pg_connection_measure(struct pg_connection *connection, uint64_t took)
{
	if (took < connection->quickest)
		connection->quickest = took;
	if (connection->measured < PG_MEASURED_MIN)
		connection->measured++;
	connection->far =
		connection->measured == PG_MEASURED_MIN && connection->quickest >= PG_FAR_NS;
}

/* The first batch has ended. again: its calls run again. */
static inline void pg_connection_next(struct pg_connection *connection, bool again)
{
	if (--connection->in_flight > 0)
		connection->front = pg_connection_batch(connection, 1);
	connection->draining = connection->in_flight > 0 && (connection->draining || again);
}

/* Allocates its lists; false: out of memory, and pg_connection_free cleans up. */
bool pg_connection_init(struct pg_connection *connection, unsigned number);
void pg_connection_free(struct pg_connection *connection);
/* Takes over a new connection of libpq: CONNECTING -> IDLE. */
void pg_connection_adopt(struct postgres_store *store, struct pg_connection *connection, PGconn *pq,
	const struct lineage *lineage);
/* Whether its next batch may be sent behind those under way. */
bool pg_connection_sends_ahead(
	const struct postgres_store *store, const struct pg_connection *connection, uint64_t now);
/* Whether it is so old that it is to be replaced. */
bool pg_connection_outlived(
	const struct postgres_store *store, const struct pg_connection *connection, uint64_t now);
/* Gathers and sends the next batch, if any. */
bool pg_connection_send(struct postgres_store *store, struct pg_connection *connection);
/* On an idle connection: a batch of the store's own, which `queue` sends. False: the connection is
 * lost. */
bool pg_connection_upkeep(struct postgres_store *store, struct pg_connection *connection,
	bool (*queue)(struct postgres_store *, struct pg_connection *));
/* Writes as much as the socket accepts; epoll reports when the rest can follow. False: the
 * connection is lost. */
bool pg_connection_push(struct postgres_store *store, struct pg_connection *connection);
/* Keeps what the server says when it ends the connection. */
void pg_connection_close_reason(struct pg_connection *connection, const PGresult *result);
/* The connection is lost: its calls move to others or fail. */
void pg_connection_break(struct postgres_store *store, struct pg_connection *connection,
	const char *reason, bool timed_out);
/* Returns its waiting calls to the store. */
void pg_connection_close(struct postgres_store *store, struct pg_connection *connection);

#endif
