/* From a line to calls, from calls to answers. Thread: the loop thread. */
#ifndef PIERRE_DISPATCH_H
#define PIERRE_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/json/json.h"
#include "batch.h"
#include "request.h"

struct dispatch {
	struct json json; /* the line's nodes; reused */
	bool many_nodes;  /* a line since the last trim had many: they are kept for the next one */
	struct arena scratch; /* of one request's envelope */
	struct request_pool requests;
	unsigned calls; /* begun and not answered, of all connections */
	uint64_t clock; /* CLOCK_MONOTONIC ns at the end of the last line or the turn's first event
	                 */
	bool clock_stale;      /* the loop may have slept since */
	int64_t wall_offset;   /* wall clock minus CLOCK_MONOTONIC, µs */
	uint64_t wall_checked; /* clock when the offset was taken */
	uint64_t slow_from; /* ns; slow calls are told in a number of lines a second from here on */
	unsigned slow_logged;     /* since then */
	uint64_t slow_suppressed; /* since the last line */
	bool submitted;           /* the store has calls that were not flushed */
};

void dispatch_init(struct dispatch *dispatch);
void dispatch_free(struct dispatch *dispatch);

/* Now and then: frees what no line has needed for a while. */
void dispatch_trim(struct dispatch *dispatch);

/* Before lines are handled: brings the clock up to date when the loop may have slept. */
void dispatch_wake(struct dispatch *dispatch);
/* One line of a connection. */
void dispatch_line(struct connection *connection, const char *line, size_t length);
/* A line that was over the limit. */
void dispatch_too_long(struct connection *connection);
/* Begins the next call of connection->batch, and takes it away when that was the last. */
void dispatch_batch_next(struct connection *connection);
/* A request whose parameters are read goes on to the store, or first to the passwords. */
void dispatch_go_on(struct request *request);
/* A request that waited is to go on. False: it has ended instead, since its client is gone, or has
 * lost the role for it. */
bool dispatch_begins(struct request *request);
/* Lends a request to the store. */
void dispatch_submit(struct request *request);

/* dispatch_password.c */
bool dispatch_password_needs_hash(const struct request *request);
void dispatch_password_note_hash(const struct request *request); /* it is about to be stored */
void dispatch_password_hash(struct request *request);            /* then dispatch_submit */
void dispatch_password_verify(struct request *request);          /* then dispatch_finish */
void dispatch_password_compare(
	struct request *request); /* its second part: what the work has to be is known */
/* A request has its result: call.err, or a result behind call.answer_start. Answers and frees it.
 */
void dispatch_finish(struct request *request);

#endif
