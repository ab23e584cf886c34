/* A request on its way: the call that the store runs, and whom its answer is for. Reused, so that a
 * call in steady state allocates nothing. Thread: the loop thread. */
#ifndef PIERRE_REQUEST_H
#define PIERRE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../backends/call.h"
#include "../../protocol/list.h"

struct batch;
struct connection;
struct dispatcher;

enum request_state {
	REQUEST_NEW,
	REQUEST_PAUSED,   /* came while the daemon was paused; in pause->waiting */
	REQUEST_HASHING,  /* its password is with the pool; in connection->held */
	REQUEST_WAITING,  /* behind one that is hashing or behind; in connection->held */
	REQUEST_BEHIND,   /* waits until the database reaches a position; in connection->held */
	REQUEST_STORE,    /* lent to the store */
	REQUEST_CHECKING, /* its password is compared by the pool */
	REQUEST_HEALTH,   /* waits for the health probe; in health->waiting */
	REQUEST_DONE,
};

struct request {
	struct call call;
	struct list link; /* connection->held, pause->waiting, health->waiting, or the pool of free
	                     ones */
	struct dispatcher *dispatcher;
	struct connection *connection; /* outlives it */
	struct batch *batch;           /* NULL: a line of its own */
	unsigned index;                /* in the batch */
	bool notification;
	uint8_t state;  /* enum request_state */
	const char *id; /* JSON text; in the arena */
	size_t id_length;
	uint64_t started; /* CLOCK_MONOTONIC ns */
	unsigned jobs;    /* of the password pool that it waits for */
	size_t lent; /* memory that others hold for it: a password's, an answer that is expected */
	size_t charged; /* to the connection */
};

/* Of a call, or of a transaction's member. */
static inline struct request *request_of(struct call *call)
{
	if (call->within != NULL)
		call = call->within;
	return (struct request *)(void *)((char *)call - offsetof(struct request, call));
}

enum {
	REQUEST_KEPT = 64,
	REQUEST_SPARES = 2048,
	REQUEST_SPARE_BYTES = 16 * 1024,
	REQUEST_SPARES_BYTES = 8 * 1024 * 1024
};

struct request_pool {
	struct list free;
	unsigned free_count, used;
	unsigned min_free; /* fewest free ones since the last trim */
	size_t bytes;      /* memory of the free ones */
};

void request_pool_init(struct request_pool *pool);
void request_pool_free(struct request_pool *pool);
/* NULL when out of memory. */
struct request *request_new(
	struct request_pool *pool, struct dispatcher *dispatcher, struct connection *connection);
/* Wipes and keeps it for the next one. */
void request_free(struct request_pool *pool, struct request *request);
/* Once a second: frees part of what no burst has needed for a while. */
void request_pool_trim(struct request_pool *pool);
/* Charges what it holds now to its connection. */
void request_charge(struct request *request);
/* Changes its state; the log names it by its connection. */
void request_move(struct request *request, enum request_state state);

#endif
