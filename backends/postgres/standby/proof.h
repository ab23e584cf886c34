/* What a batch on a standby proves: a statement before its reads tells how far the standby has
 * replayed the log, and one behind them what they may have shown.
 *
 * The first statement must be one of its own: a statement's snapshot is older than what its
 * functions tell, so that the position of the same statement could cover rows that it does not
 * show. Thread: the loop. */
#ifndef PIERRE_PG_PROOF_H
#define PIERRE_PG_PROOF_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "history.h"

struct pg_connection;
struct postgres_store;

struct proof {
	bool standby;      /* the server is a standby, each statement has a snapshot of its own */
	uint64_t timeline; /* that the standby shows; 0: none */
	uint64_t replayed; /* before the reads */
	uint64_t received; /* behind them: at least what they have shown */
	struct snapshot snapshot;
};

/* Sends the statement before the reads. call: the first of them; NULL: there is none. False: libpq
 * refused. */
bool proof_begin(struct postgres_store *store, struct pg_connection *connection, struct call *call);
/* Sends the statement behind the reads. False as above. */
bool proof_end(struct postgres_store *store, struct pg_connection *connection, struct call *call);
/* A batch without reads: asks how far the standby has got. False as above. */
bool proof_poll(struct postgres_store *store, struct pg_connection *connection);
/* On the primary: sends the statement that tells which position covers the reads before it. False
 * as above. */
bool proof_cover(struct postgres_store *store, struct pg_connection *connection, struct call *call);
/* Takes a result of these; false: it is not one. */
bool proof_take(struct pg_connection *connection, unsigned kind, const PGresult *result);

#endif
