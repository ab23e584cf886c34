/* The thread that makes answers of large results. All functions: the loop's thread. */
#ifndef PIERRE_PG_ENCODER_H
#define PIERRE_PG_ENCODER_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>

#include "../call.h"

struct pg_connection;
struct postgres_store;

enum { LARGE_ANSWER = 64 << 10 };

struct encoder {
	pthread_t thread;
	bool started, stop;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list work, done;
};

bool encoder_start(struct postgres_store *store);
void encoder_stop(struct postgres_store *store); /* after what it still has; its calls are done() */
/* More than the loop should encode in this turn; counts what is not. */
bool encoder_wants(struct postgres_store *store, const PGresult *result);
/* Takes the result of calls of the batch; false: out of memory, it stays the caller's. */
bool encoder_keep(struct pg_connection *connection, struct call **calls, unsigned count, bool many,
	PGresult *result);
void encoder_drop(
	struct pg_connection *connection); /* the batch has failed: its calls run again or fail */
void encoder_submit(struct postgres_store *store,
	struct pg_connection *connection); /* it has committed: those calls leave their list */
void encoder_collect(
	struct postgres_store *store); /* answers that are made: those calls are done() */

#endif
