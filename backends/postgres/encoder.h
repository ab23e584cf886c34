/* The thread that encodes large results. All functions: loop thread. */
#ifndef PIERRE_PG_ENCODER_H
#define PIERRE_PG_ENCODER_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>

#include "../call.h"

struct pg_batch;
struct postgres_store;

struct encoder {
	pthread_t thread;
	bool started, stop;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list work, done;
	size_t kept; /* bytes of all results that are kept. Thread: the loop */
};

bool encoder_start(struct postgres_store *store);
void encoder_stop(
	struct postgres_store *store); /* after its remaining work; its calls are done() */
/* Whether the loop should leave this result to the encoder in this iteration; otherwise counts
 * it. */
bool encoder_wants(struct postgres_store *store, const PGresult *result);
/* Takes over the result of calls in the batch; false: out of memory, and the caller keeps it. */
bool encoder_keep(struct postgres_store *store, struct pg_batch *batch, struct call **calls,
	unsigned count, bool many, PGresult *result);
/* The batch has failed: its calls run again or fail. */
void encoder_drop(struct postgres_store *store, struct pg_batch *batch);
/* The batch has committed: its calls leave their list; or it is a transaction that ends behind
 * them. */
void encoder_submit(struct postgres_store *store, struct pg_batch *batch);
/* Finished answers: their calls are done(), or their transaction is `encoded`. */
void encoder_collect(struct postgres_store *store);

#endif
