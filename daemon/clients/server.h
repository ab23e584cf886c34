/* The clients as a whole: accepting, limits, who has work to go on with, who has answers to send,
 * time limits, memory. Thread: the loop thread. */
#ifndef PIERRE_SERVER_H
#define PIERRE_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "../../protocol/list.h"
#include "../calls/account.h"
#include "connection.h"
#include "output.h"

enum { SERVER_SPARE_FRAMES = 8, SERVER_FRAME_BYTES = 32 * 1024 };

struct server {
	struct daemon *daemon;
	uv_poll_t listener;
	uv_timer_t watch; /* the next time limit of a line or a stalled peer */
	uv_timer_t retry; /* accepting again after descriptors ran out */
	uv_idle_t more;   /* runs while `ready` is not empty: the loop must not sleep */
	int reserve_fd;   /* given up for a moment to refuse politely when descriptors are out */
	uint64_t descriptor_limit;
	bool listening;
	struct list connections; /* every connection that is not freed */
	unsigned count;
	struct list ready, dirty, throttled;
	struct connection *favoured; /* one that may go on, a call at a time, however short memory
	                                is; NULL: none */
	bool favoured_waits;         /* it has done nothing since the last look */
	struct account account;      /* what is held for all clients */
	size_t memory_peak;          /* since it was last returned to the system */
	struct list long_ready;      /* as ready: those whose next line is a long one */
	bool long_iteration;         /* they are served now */
	size_t long_bytes, long_bytes_max; /* of long lines that were taken in this turn of theirs,
	                                      and in the largest */
	uint64_t iteration_ends;           /* by dispatch->clock; 0: nothing was done in it yet */
	struct output_spares spares;
	char *frames[SERVER_SPARE_FRAMES]; /* memory of SERVER_FRAME_BYTES for reading */
	unsigned frame_count;
};

int server_init(struct server *server, struct daemon *daemon);
/* Begins to accept on daemon->socket. */
int server_listen(struct server *server);
/* Accepts what waits already, then no more. */
void server_stop_listening(struct server *server);
void server_close_handles(struct server *server);
void server_free(struct server *server);

/* A connection has lines to go on with next turn. */
void server_ready(struct server *server, struct connection *connection);
/* A long line may be taken now; counts it. */
bool server_takes_long(struct server *server, size_t length);
/* This part of the loop's iteration has had its time: the rest waits for the next one. */
bool server_iteration_over(struct server *server);
/* Something of the connection has a time limit that ends at `due` (uv_now). */
void server_watch(struct server *server, uint64_t due);
/* The connection has to wait for memory before it goes on: it holds more than is free. */
bool server_memory_short(const struct server *server, const struct connection *connection);
/* The connection waits for no memory any more. */
void server_content(struct server *server, const struct connection *connection);
/* End of a turn: sends what is to be sent. */
void server_iteration(struct server *server);
/* Now and then: finds clients that are gone while their calls wait. */
void server_look_for_peers(struct server *server);
/* Now and then: after a flood, returns memory to the system. */
void server_trim(struct server *server);
/* Settings have changed: roles, limits and time limits of those who are connected follow. */
void server_reload(struct server *server);
/* All that was accepted is answered and sent. */
bool server_idle(const struct server *server);

#endif
