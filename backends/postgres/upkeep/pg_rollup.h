/* Keeps the counts of usage current: calls of its own, one step each, beside those of clients. See
 * migration 0006. Loop thread only. */
#ifndef PIERRE_PG_ROLLUP_H
#define PIERRE_PG_ROLLUP_H

#include <libpq-fe.h>

#include "../../call.h"

struct postgres_store;

struct pg_rollup {
	struct call call;      /* without a method, as the health probe */
	bool running, quiet;   /* quiet: the daemon is paused */
	bool wrote;            /* this daemon has written since the last step */
	uint64_t due;          /* of the next step, CLOCK_MONOTONIC ns */
	uint64_t began, pause; /* the running step; the time between two */
	uint64_t drop_at;      /* when rows may be old enough to be dropped */
	bool drops;            /* the step drops rows, too */
	char sql[320];
	int64_t rest; /* about how many rows the last one left; -1: unknown */
};

void pg_rollup_init(struct postgres_store *store);
/* A client's call changes the database. */
void pg_rollup_note_write(struct postgres_store *store);
/* The call to be placed now; NULL: none. */
struct call *pg_rollup_begin(struct postgres_store *store);
const char *pg_rollup_sql(struct postgres_store *store);
void pg_rollup_take(struct postgres_store *store, const PGresult *result);
/* When the next step is due; 0: not while calls come, or one runs. */
uint64_t pg_rollup_next_due(const struct postgres_store *store);

#endif
