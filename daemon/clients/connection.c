#include "connection.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../loop/daemon.h"
#include "../loop/log.h"

enum {
	SHARE_LINES = 64, /* of one turn, so that a flood does not starve the others */
	SHARE_NS = 100 * 1000,
	LONG_LINE = 32 * 1024, /* takes up to milliseconds: has turns of its own */
	READ_MAX = 64 * 1024,
	FEW_READS = 4,    /* may be under way whatever their answers are expected to be */
	FIRST_READS = 16, /* begun by a connection of which nothing is known yet */
};

/* Which steps are allowed: a bit for each next state. */
static const unsigned next_states[] = {
	[CONNECTION_OPEN] = 1 << CONNECTION_ENDED | 1 << CONNECTION_DEAD,
	[CONNECTION_ENDED] = 1 << CONNECTION_DEAD,
	[CONNECTION_DEAD] = 1 << CONNECTION_CLOSED,
	[CONNECTION_CLOSED] = 0,
};

static void connection_move(struct connection *connection, enum connection_state state)
{
	assert((next_states[connection->state] & 1U << state) != 0);
	connection->state = state;
}

bool connection_alive(const struct connection *connection)
{
	return connection->state == CONNECTION_OPEN || connection->state == CONNECTION_ENDED;
}

static void on_event(uv_poll_t *poll, int status, int events);

/* Watches for what the connection can use now: bytes when it may take more, room when it has unsent
 * answers. */
static void connection_watch(struct connection *connection)
{
	int events = connection->blocked ? UV_WRITABLE : 0;

	/* With a place in the queue for the next turn the pause is too short to be worth a system
	 * call. */
	if (connection->state == CONNECTION_OPEN &&
		(!connection->backlog || !list_empty(&connection->ready)))
		events |= UV_READABLE;
	if (events == connection->events)
		return;
	if ((connection->events & UV_READABLE) != 0 && (events & UV_READABLE) == 0 &&
		connection->state == CONNECTION_OPEN)
		connection->daemon->metrics.reading_paused++;
	connection->events = events;
	if (events == 0)
		(void)uv_poll_stop(&connection->poll);
	else
		(void)uv_poll_start(&connection->poll, events, on_event);
}

/* Its calls and batches charge for themselves. */
static void charge(struct connection *connection)
{
	account_charge(&connection->account, &connection->charged,
		connection->frame.capacity + output_held(&connection->output));
}

/* Has to wait until its own calls are answered or its answers are taken. What is being read counts
 * with the length that it will probably have: once begun, an answer cannot be held back. */
static bool over_limit(const struct connection *connection)
{
	const struct settings *settings = &connection->daemon->settings;
	size_t pending = output_pending(&connection->output);

	if (connection->calls >= settings->in_flight_limit || pending >= settings->unsent_limit)
		return true;
	if (connection->reads >= FEW_READS &&
		pending + (uint64_t)connection->reads * connection->expected >=
			settings->unsent_limit)
		return true;
	/* The rest of a batch must be begun for its answers to be sent at all, but not while a slow
	 * call holds back those behind it. */
	if (connection->batch != NULL)
		return connection->batch->ahead >= settings->answer_limit;
	return pending + connection->held_bytes >= settings->unsent_limit;
}

/* What is left of a batch takes less than the batch itself, which ends with it. */
static bool starving(const struct connection *connection)
{
	return connection->batch == NULL &&
		server_memory_short(&connection->daemon->server, connection);
}

static void take_frame_memory(struct connection *connection)
{
	struct server *server = &connection->daemon->server;
	struct frame *frame = &connection->frame;

	if (frame->data != NULL)
		return;
	frame->data = server->frame_count > 0 ? server->frames[--server->frame_count]
					      : malloc(SERVER_FRAME_BYTES);
	frame->capacity = frame->data != NULL ? SERVER_FRAME_BYTES : 0;
	frame->start = frame->scanned = frame->end = 0;
	connection->frame_used = 0;
}

/* An idle connection holds no memory for reading. */
static void give_frame_memory(struct connection *connection)
{
	struct server *server = &connection->daemon->server;
	struct frame *frame = &connection->frame;

	if (frame->data == NULL || frame->start != frame->end)
		return;
	if (frame->capacity != SERVER_FRAME_BYTES || server->frame_count == SERVER_SPARE_FRAMES) {
		frame_free(frame);
		return;
	}
	explicit_bzero(frame->data, connection->frame_used);
	server->frames[server->frame_count++] = frame->data;
	frame->data = NULL;
	frame->capacity = frame->start = frame->scanned = frame->end = 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;
	struct server *server = &connection->daemon->server;

	assert(connection->account.held == 0); /* whoever held memory for it has returned it */
	list_remove(&connection->link);
	server->count--;
	server->daemon->metrics.connections_closed++;
	free(connection);
}

/* Dead, and without calls that still point to it. */
static void connection_release(struct connection *connection)
{
	connection_move(connection, CONNECTION_CLOSED);
	charge(connection);
	uv_close((uv_handle_t *)&connection->poll, on_closed);
	(void)close(connection->fd);
}

/* Nobody waits for the answers any more: what has not begun need not. A client that has only ended
 * its lines still does. */
static void lose_peer(struct connection *connection)
{
	atomic_store_explicit(&connection->order.gone, true, memory_order_relaxed);
	password_pool_drop(connection->daemon->passwords, connection);
}

void connection_look_for_peer(struct connection *connection)
{
	struct pollfd peer = {.fd = connection->fd};

	if (!connection_alive(connection) || connection->calls == 0 ||
		(connection->events & UV_READABLE) != 0 ||
		atomic_load_explicit(&connection->order.gone, memory_order_relaxed))
		return;
	if (poll(&peer, 1, 0) > 0 && (peer.revents & (POLLHUP | POLLERR)) != 0)
		lose_peer(connection);
}

void connection_set_role(struct connection *connection, enum role role)
{
	connection->role = role;
	atomic_store_explicit(&connection->order.role, (unsigned char)role, memory_order_relaxed);
}

void connection_close(struct connection *connection, const char *reason)
{
	if (!connection_alive(connection))
		return;
	log_event(LOG_DEBUG, "connection ends", log_text("reason", reason),
		log_number("pid", connection->pid), log_number("uid", connection->uid),
		log_number("calls", connection->calls));
	connection_move(connection, CONNECTION_DEAD);
	(void)uv_poll_stop(&connection->poll);
	connection->events = 0;
	(void)shutdown(connection->fd, SHUT_RDWR);
	list_remove(&connection->ready);
	list_remove(&connection->dirty);
	list_remove(&connection->throttled);
	server_content(&connection->daemon->server, connection);
	output_free(&connection->output);
	frame_free(&connection->frame);
	if (connection->batch != NULL) {
		struct batch *batch = connection->batch;

		connection->batch = NULL;
		batch_abandon(batch);
	}
	charge(connection);
	connection->calls++; /* so that it stays until here, whatever ends now */
	lose_peer(connection);
	connection_call_done(connection);
}

/* A line is begun, or one has just ended: sets and clears its time limit. */
static void time_line(struct connection *connection)
{
	struct daemon *daemon = connection->daemon;

	if (!frame_partial(&connection->frame) || connection->state != CONNECTION_OPEN) {
		connection->partial_since = 0;
	} else if (connection->partial_since == 0) {
		connection->partial_since = uv_now(&daemon->loop);
		server_watch(
			&daemon->server, connection->partial_since + daemon->settings.line_timeout);
	}
}

/* All lines that were read are begun. */
static void connection_drained(struct connection *connection)
{
	connection->backlog = false;
	time_line(connection);
	give_frame_memory(connection);
	charge(connection);
	if (connection->state == CONNECTION_ENDED && connection->calls == 0)
		connection_answered(connection); /* so that the turn's end closes it */
	if (!frame_partial(&connection->frame) && connection->calls == 0)
		server_content(&connection->daemon->server, connection);
	if (starving(connection)) { /* a long line that is not whole yet */
		connection->backlog = true;
		list_append(&connection->daemon->server.throttled, &connection->throttled);
	}
}

/* The line that was put off, else the next one. */
static enum frame_result next_line(struct connection *connection, const char **line, size_t *length)
{
	if (connection->long_line == NULL)
		return frame_next(&connection->frame, line, length);
	*line = connection->long_line;
	*length = connection->long_length;
	connection->long_line = NULL;
	return FRAME_LINE;
}

/* Long lines are taken some at a time in an iteration, whoever sent them, so that all others are
 * served between. */
static bool put_off(struct connection *connection, const char *line, size_t length)
{
	struct server *server = &connection->daemon->server;

	if (length <= LONG_LINE || server_takes_long(server, length))
		return false;
	connection->long_line = line; /* nothing is read into the frame while there is a backlog */
	connection->long_length = length;
	server_ready(server, connection);
	return true;
}

static void take_line(struct connection *connection, const char *line, size_t length)
{
	connection->partial_since = 0;
	connection->lines++;
	connection->heard_at = connection->daemon->dispatch.clock;
	dispatch_line(connection, line, length);
}

void connection_pump(struct connection *connection)
{
	struct dispatch *dispatch = &connection->daemon->dispatch;
	uint64_t until;
	unsigned lines = 0;

	dispatch_wake(dispatch);
	until = dispatch->clock + SHARE_NS;
	list_remove(&connection->ready);
	list_remove(&connection->throttled);
	connection->backlog = true;
	while (connection_alive(connection)) {
		const char *line;
		size_t length;

		if (over_limit(connection)) {
			connection->partial_since = 0; /* the daemon is what the line waits for */
			break;
		}
		if (starving(connection)) {
			list_append(&connection->daemon->server.throttled, &connection->throttled);
			break;
		}
		if (lines++ == SHARE_LINES || dispatch->clock > until ||
			server_iteration_over(&connection->daemon->server)) {
			server_ready(&connection->daemon->server, connection);
			break;
		}
		if (connection->batch != NULL) {
			dispatch_batch_next(connection);
			continue;
		}
		switch (next_line(connection, &line, &length)) {
		case FRAME_LINE:
			if (put_off(connection, line, length))
				break;
			take_line(connection, line, length);
			continue;
		case FRAME_TOO_LONG:
			dispatch_too_long(connection);
			continue;
		case FRAME_MORE:
			connection_drained(connection);
		}
		break;
	}
	dispatch->clock = uv_hrtime();
	if (connection_alive(connection))
		connection_watch(connection);
}

/* No more bytes will come; what was read is answered. */
static void connection_end(struct connection *connection)
{
	connection_move(connection, CONNECTION_ENDED);
	frame_end(&connection->frame);
	if (!connection->backlog)
		connection_pump(connection);
	else
		connection_watch(connection);
	connection_look_for_peer(connection);
}

void connection_read(struct connection *connection)
{
	char *space;
	size_t size;
	ssize_t n;

	if (connection->state != CONNECTION_OPEN || connection->backlog)
		return;
	take_frame_memory(connection);
	space = frame_space(&connection->frame, &size);
	if (space == NULL) {
		connection_close(connection, "out of memory");
		return;
	}
	charge(connection);
	/* Without a control buffer the system closes descriptors that the peer passes along. */
	n = recv(connection->fd, space, size < READ_MAX ? size : READ_MAX, MSG_DONTWAIT);
	if (n > 0) {
		connection->daemon->metrics.bytes_in += (uint64_t)n;
		connection->bytes_in += (uint64_t)n;
		frame_commit(&connection->frame, (size_t)n);
		if (connection->frame.end > connection->frame_used)
			connection->frame_used = connection->frame.end;
		connection_pump(connection);
	} else if (n == 0) {
		connection_end(connection);
	} else if (errno != EAGAIN && errno != EINTR) {
		connection_close(connection, "reading failed");
	} else {
		give_frame_memory(connection);
		charge(connection);
	}
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct connection *connection = poll->data;

	if (status < 0) {
		connection_close(connection, "polling failed");
		return;
	}
	if ((events & UV_WRITABLE) != 0) {
		connection->blocked = false;
		connection_flush(connection);
	}
	if ((events & UV_READABLE) != 0 && connection_alive(connection)) {
		busy_poll_heard(&connection->daemon->busy_poll);
		if (connection->backlog)
			connection_watch(connection);
		else
			connection_read(connection);
	}
}

/* The peer takes nothing for now: its time limit runs from the last byte that it took. */
static void stalled(struct connection *connection, bool progress)
{
	struct daemon *daemon = connection->daemon;

	if (connection->stalled_since != 0 && !progress)
		return;
	connection->stalled_since = uv_now(&daemon->loop);
	server_watch(&daemon->server, connection->stalled_since + daemon->settings.write_timeout);
}

void connection_flush(struct connection *connection)
{
	struct daemon *daemon = connection->daemon;
	enum output_result result = OUTPUT_BLOCKED;
	size_t sent = 0;

	list_remove(&connection->dirty);
	if (!connection_alive(connection))
		return;
	if (!connection->blocked) {
		result = output_write(
			&connection->output, &daemon->server.spares, connection->fd, &sent);
		daemon->metrics.bytes_out += sent;
		connection->bytes_out += sent;
	}
	if (result == OUTPUT_FAILED) {
		connection_close(connection,
			connection->output.text.failure != BUFFER_OK ? "out of memory"
								     : "the peer is gone");
		return;
	}
	connection->blocked = result == OUTPUT_BLOCKED;
	if (connection->blocked)
		stalled(connection, sent > 0);
	else
		connection->stalled_since = 0;
	charge(connection);
	if (connection->state == CONNECTION_ENDED && connection->calls == 0 &&
		!connection->backlog && result == OUTPUT_DONE) {
		connection_close(connection, "all answered");
		return;
	}
	if (connection->backlog && list_empty(&connection->throttled) && !over_limit(connection))
		server_ready(&daemon->server, connection);
	connection_watch(connection);
}

struct buffer *connection_text(struct connection *connection)
{
	return output_text(&connection->output, &connection->daemon->server.spares);
}

void connection_answered(struct connection *connection)
{
	if (connection_alive(connection) && list_empty(&connection->dirty))
		list_append(&connection->daemon->server.dirty, &connection->dirty);
}

void connection_send(struct connection *connection, struct buffer *line)
{
	if (!connection_alive(connection))
		return;
	line->cap = 0;
	buffer_byte(line, '\n');
	if (line->failure != BUFFER_OK) {
		connection_close(connection, "out of memory");
		return;
	}
	output_add(&connection->output, &connection->daemon->server.spares, line);
	charge(connection);
	connection_answered(connection);
}

void connection_read_done(struct connection *connection, size_t length)
{
	connection->reads--;
	connection->expected =
		length > connection->expected / 2 ? length : connection->expected / 2;
	connection_answered(connection); /* it may go on, also when this call does not end yet */
}

void connection_call_done(struct connection *connection)
{
	connection->calls--;
	if (connection_alive(connection))
		connection_answered(connection);
	else if (connection->state == CONNECTION_DEAD && connection->calls == 0)
		connection_release(connection);
}

int connection_open(struct daemon *daemon, int fd, const struct peer *peer, enum role role)
{
	struct connection *connection = calloc(1, sizeof *connection);

	if (connection == NULL || uv_poll_init(&daemon->loop, &connection->poll, fd) != 0) {
		free(connection);
		(void)close(fd);
		return -1;
	}
	connection->daemon = daemon;
	connection->account.total = &daemon->server.account;
	connection->fd = fd;
	connection->poll.data = connection;
	connection->uid = peer->uid;
	connection->gid = peer->gid;
	connection->pid = peer->pid;
	connection->expected = (size_t)daemon->settings.unsent_limit / FIRST_READS;
	frame_init(&connection->frame, (size_t)daemon->settings.line_limit);
	output_init(&connection->output);
	order_init(&connection->order);
	connection_set_role(connection, role);
	list_init(&connection->held);
	list_init(&connection->ready);
	list_init(&connection->dirty);
	list_init(&connection->throttled);
	list_append(&daemon->server.connections, &connection->link);
	daemon->server.count++;
	connection->number = ++daemon->metrics.connections_accepted;
	connection->opened_at = connection->heard_at = uv_hrtime();
	connection_watch(connection);
	return 0;
}
