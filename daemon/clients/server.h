/* The clients as a whole: accepting them, their limits, their time limits and roles. Thread: the
 * loop thread. */
#ifndef PIERRE_SERVER_H
#define PIERRE_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "access.h"
#include "connection.h"
#include "socket.h"

/* What a server works with; all of it outlives the server. */
struct server_parts {
	struct runtime *runtime;
	struct socket *socket;
	const struct access *access;
	const struct connection_events *events; /* what becomes of lines */
	void *owner;                            /* the events' */
};

struct server {
	struct runtime *runtime;
	struct socket *socket;
	const struct access *access;
	uv_poll_t listener;
	uv_timer_t retry; /* accepting again after descriptors ran out */
	int reserve_fd;   /* given up for a moment to refuse politely when descriptors are out */
	uint64_t descriptor_limit;
	bool listening;
	struct connection_set set;
};

int server_init(struct server *server, const struct server_parts *parts);
/* Begins to accept. */
int server_listen(struct server *server);
/* Accepts what waits already, then no more. */
void server_stop_listening(struct server *server);
void server_close_handles(struct server *server);
void server_free(struct server *server);

/* End of an iteration: sends what is to be sent. */
void server_iteration(struct server *server);
/* Reads what clients have sent by now, so that it is answered before the daemon ends. */
void server_read_rest(struct server *server);
/* Once a second: finds clients that are gone while their calls wait. */
void server_check_peers(struct server *server);
/* Once a second: after a flood, returns memory to the system. */
void server_trim(struct server *server);
/* Settings have changed: roles, limits and time limits of those who are connected follow. */
void server_reload(struct server *server);
/* No line waits and all answers are sent. */
bool server_idle(const struct server *server);

#endif
