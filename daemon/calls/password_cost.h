/* How much work the check of a password takes: the same for every user, and for addresses of no
 * user.
 *
 * That work is the highest bcrypt cost that is stored, within the setting bcrypt-cost-limit, and at
 * least that of new hashes: cheaper hashes are padded to it. Higher stored costs are queried from
 * the database, since other programs write hashes, too: before a check, when the last answer is
 * older than a second, or than fifty times what the query took. The check waits for the answer, but
 * not for long. Thread: the loop thread. */
#ifndef PIERRE_PASSWORD_COST_H
#define PIERRE_PASSWORD_COST_H

#include <stdbool.h>
#include <uv.h>

#include "request.h"

struct password_cost {
	struct dispatcher *dispatcher;
	void (*ready)(struct request *request); /* the cost is known: the check goes on */
	struct call call;                       /* queries the database; ours between two answers */
	struct order order;
	struct value above;   /* its parameter */
	bool asking, overdue; /* the call is with the store; it takes too long to be waited for */
	unsigned stored;      /* the highest in the database */
	unsigned seen, seen_before;     /* the highest seen since the last query, and before that */
	uint64_t users[32];             /* by cost, in the database */
	uint64_t warned_of;             /* users who cannot log in, when the log last said so */
	uint64_t asked_at, fresh_until; /* CLOCK_MONOTONIC ns */
	struct list waiting;            /* requests in REQUEST_CHECKING */
	uv_timer_t timer;
};

int password_cost_init(struct password_cost *self, struct dispatcher *dispatcher,
	void (*ready)(struct request *request));
void password_cost_close(struct password_cost *self);
/* Once the store answers: asks for the first time, so that the log warns at the start. */
void password_cost_start(struct password_cost *self);
/* Users whose hash costs more than bcrypt-cost-limit, when the database was asked last. */
uint64_t password_cost_beyond(const struct password_cost *self);
/* A hash that is stored, or about to be. */
void password_cost_note(struct password_cost *self, const char *hash, size_t length);
/* The cost of each check now. */
unsigned password_cost_now(const struct password_cost *self);
/* False: it is known well enough. True: ready() gets the request when it is. */
bool password_cost_wait(struct password_cost *self, struct request *request);

#endif
