/* One client's connection: lines in, answers out, and the limits between them.
 *
 * A connection knows nothing of what lines mean: its owner's table of events gets them. States:
 * OPEN reads and answers. HALF_CLOSED: the peer has shut down its writing side; what was read is
 * still answered. CLOSING: nothing goes in or out any more; its calls run to their end and their
 * answers are dropped. CLOSED: waits for the loop to let go of the handle; freed then, and only
 * then. connection_close is the one way out of OPEN and HALF_CLOSED. What becomes of its input
 * meanwhile is the intake's state (scheduler.h). Thread: the loop thread. */
#ifndef PIERRE_CONNECTION_H
#define PIERRE_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "../../backends/call.h"
#include "../../protocol/list.h"
#include "../../protocol/wire/frame.h"
#include "../base/account.h"
#include "../base/runtime.h"
#include "access.h"
#include "frame_spares.h"
#include "output.h"
#include "scheduler.h"

struct batch;
struct connection;

/* What the owner of connections does with what they read. */
struct connection_events {
	/* One line, without its newline. The text lasts for the call. */
	void (*line)(struct connection *connection, const char *line, size_t length);
	/* A line over the limit was skipped. */
	void (*too_long)(struct connection *connection);
	/* Begins the next call of connection->batch, and sets that to NULL with the last one. */
	void (*begin_next)(struct connection *connection);
	/* Bytes of the batch's answers that wait for others before them. */
	size_t (*answers_ahead)(const struct batch *batch);
	/* connection->batch will not go on: the rest of its calls never begin. */
	void (*abandon_batch)(struct connection *connection);
	/* Nobody waits for the connection's answers any more. May come more than once. */
	void (*peer_gone)(struct connection *connection);
};

/* The connections of one server, and what they share. The server sets it up. */
struct connection_set {
	struct runtime *runtime;
	const struct connection_events *events;
	void *owner;             /* the events' */
	struct list connections; /* every connection that is not freed, the oldest first */
	struct list dirty;       /* those with answers to send, or that may be done */
	unsigned count;
	struct scheduler scheduler;
	struct output_spares spares;
	struct frame_spares frames;
	uv_timer_t watch;     /* the next time limit of a line or a stalled peer */
	uv_timer_cb on_watch; /* the server's */
};

enum connection_state {
	CONNECTION_OPEN,
	CONNECTION_HALF_CLOSED,
	CONNECTION_CLOSING,
	CONNECTION_CLOSED
};

struct connection {
	struct list link;  /* in set->connections from accept to free */
	struct list dirty; /* in set->dirty until the iteration's end */
	struct scheduled scheduled;
	struct connection_set *set;
	uv_poll_t poll;
	int fd;
	int events;            /* what poll watches */
	uint8_t state;         /* enum connection_state */
	bool blocked;          /* the peer takes nothing for now: poll waits until it does */
	struct frame frame;    /* without memory while it is empty */
	const char *long_line; /* of the frame: deferred to an iteration for long ones; or NULL */
	size_t long_length;
	size_t frame_used; /* most bytes of the frame's memory that held input: what is wiped */
	struct output output;
	struct order order;
	struct list held; /* requests that wait for a password's hash before them, and those being
	                     hashed, in order */
	uint64_t password_cycle; /* password_pool_submit's */
	struct batch *batch;     /* JSON-RPC batch whose calls are still being begun */
	unsigned reads;  /* calls that only read and are with the store: their answers may be large
	                  */
	size_t expected; /* length of such an answer, as the last ones let expect */
	size_t held_bytes; /* answers of unfinished batches */
	size_t charged;    /* to the account: the line being read, and unsent answers */
	uint64_t partial_since,
		stalled_since; /* uv_now; 0: no line is begun, the peer takes its answers */
	uid_t uid;
	gid_t gid;
	pid_t pid;
	enum role role;
	/* For those who administer: */
	uint64_t opened_at, heard_at; /* ns: when it connected, and sent its last line */
	uint64_t lines, bytes_in, bytes_out;
};

/* Something of a connection has a time limit that ends at `due` (uv_now). */
void connection_set_watch(struct connection_set *set, uint64_t due);

/* Takes the descriptor; -1 (fd closed) when out of memory. */
int connection_open(struct connection_set *set, int fd, const struct peer *peer, enum role role);
/* Begins the lines that were read, for one share of the iteration. */
void connection_run(struct scheduled *scheduled);
/* Ends it, for the reason that is logged; harmless when it has ended already. */
void connection_close(struct connection *connection, const char *reason);
/* Sends what there is; closes what is done. */
void connection_flush(struct connection *connection);
/* Reads once what has come by now: the last time before the daemon ends. */
void connection_read(struct connection *connection);

/* Where an answer that is ready at once is appended, newline included; connection_answered follows.
 */
struct buffer *connection_text(struct connection *connection);
void connection_answered(struct connection *connection);
/* Takes one line (without newline); nothing when the connection is closing. */
void connection_send(struct connection *connection, struct buffer *line);
void connection_call_begun(struct connection *connection);
/* The store has read for a call of it; the answer has that length. */
void connection_read_done(struct connection *connection, size_t length);
/* A call of it has come to its end. */
void connection_call_done(struct connection *connection);
/* Whether its peer has closed both directions, which no event that is watched would show. */
void connection_check_peer(struct connection *connection);
void connection_change_role(struct connection *connection, enum role role);

static inline bool connection_alive(const struct connection *connection)
{
	return connection->state == CONNECTION_OPEN || connection->state == CONNECTION_HALF_CLOSED;
}

static inline struct connection *connection_of(struct scheduled *scheduled)
{
	return list_entry(scheduled, struct connection, scheduled);
}

#endif
