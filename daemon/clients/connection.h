/* One client's connection: lines in, answers out, and the brakes between them.
 *
 * States: OPEN reads and answers. ENDED: no more bytes will come (the peer shut down its writing
 * side); what was read is still answered. DEAD: nothing goes in or out any more; its calls run to
 * their end and their answers are dropped. CLOSED: waits for the loop to let go of the handle;
 * freed then, and only then. connection_close is the one way out of OPEN and ENDED. Thread: the
 * loop thread. Owner: the server's list. */
#ifndef PIERRE_CONNECTION_H
#define PIERRE_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "../../backends/call.h"
#include "../../protocol/wire/frame.h"
#include "../../protocol/list.h"
#include "access.h"
#include "../calls/account.h"
#include "output.h"

struct daemon;
struct batch;

enum connection_state { CONNECTION_OPEN, CONNECTION_ENDED, CONNECTION_DEAD, CONNECTION_CLOSED };

struct connection {
	struct list link;  /* in server->connections from accept to free */
	struct list ready; /* in server->ready or server->long_ready: has lines that it goes on with
	                      next turn */
	struct list dirty; /* in server->dirty: has answers to send, or may be done, at the turn's
	                      end */
	struct list throttled; /* in server->throttled: waits for memory */
	struct daemon *daemon;
	uv_poll_t poll;
	int fd;
	int events; /* what poll watches */
	enum connection_state state;
	bool backlog;       /* stopped before the end of what was read */
	bool blocked;       /* the peer takes nothing for now: poll waits until it does */
	struct frame frame; /* without memory while it is empty */
	const char
		*long_line; /* of the frame: waits for its turn among the long ones; NULL: none */
	size_t long_length;
	size_t frame_used; /* most bytes of the frame's memory that held input: what is wiped */
	struct output output;
	struct order order;
	struct list held; /* requests that wait for a password's hash before them, and those being
	                     hashed, in order */
	uint64_t password_turn; /* password_pool_submit's */
	struct batch *batch;    /* JSON-RPC batch whose calls are still being begun */
	unsigned calls;         /* begun and not answered */
	unsigned reads; /* those of them that only read and are with the store: their answers may be
	                   large */
	size_t expected;        /* length of such an answer, as the last ones let expect */
	size_t held_bytes;      /* answers of unfinished batches */
	struct account account; /* all that is held for it: lines, calls, batches, answers */
	size_t charged;         /* of that: the line being read, and unsent answers */
	uint64_t partial_since,
		stalled_since; /* uv_now; 0: no line is begun, the peer takes its answers */
	uid_t uid;
	gid_t gid;
	pid_t pid;
	enum role role;
	/* For those who administer: */
	uint64_t number;              /* counted from the start */
	uint64_t opened_at, heard_at; /* ns: when it connected, and sent its last line */
	uint64_t lines, bytes_in, bytes_out;
};

/* Takes the descriptor; -1 (fd closed) when out of memory. */
int connection_open(struct daemon *daemon, int fd, const struct peer *peer, enum role role);
/* Ends it, for the reason that is logged; harmless when it has ended already. */
void connection_close(struct connection *connection, const char *reason);
/* Goes on with the lines that were read, for one share of the turn. */
void connection_pump(struct connection *connection);
/* Sends what there is; closes what is done. */
void connection_flush(struct connection *connection);
/* Reads once what has come by now: the last look before the daemon ends. */
void connection_read(struct connection *connection);

/* Where an answer that is ready at once is appended, newline included; connection_answered follows.
 */
struct buffer *connection_text(struct connection *connection);
void connection_answered(struct connection *connection);
/* Takes one line (without newline); nothing when the connection is gone. */
void connection_send(struct connection *connection, struct buffer *line);
/* The store has read for a call of it, and gave an answer of that length. */
void connection_read_done(struct connection *connection, size_t length);
/* A call of it has come to its end. */
/* Its peer may have closed both directions, which nothing that is watched would tell. */
void connection_look_for_peer(struct connection *connection);
void connection_set_role(struct connection *connection, enum role role);
void connection_call_done(struct connection *connection);
bool connection_alive(const struct connection *connection);

#endif
