#include "connection.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../protocol/state.h"
#include "../base/log.h"

enum {
	SHARE_LINES = 64, /* of one iteration, so that a flood does not starve the others */
	SHARE_NS = 100 * 1000,
	LONG_LINE = 32 * 1024, /* takes up to milliseconds: deferred when there are many */
	READ_MAX = 64 * 1024,
	FEW_READS = 4,    /* in flight, whatever length is expected of their answers */
	FIRST_READS = 16, /* begun by a connection of which nothing is known yet */
};

static const char *const state_names[] = {
	[CONNECTION_OPEN] = "open",
	[CONNECTION_HALF_CLOSED] = "half closed",
	[CONNECTION_CLOSING] = "closing",
	[CONNECTION_CLOSED] = "closed",
};
static const uint32_t next_states[] = {
	[CONNECTION_OPEN] = STATE(CONNECTION_HALF_CLOSED) | STATE(CONNECTION_CLOSING),
	[CONNECTION_HALF_CLOSED] = STATE(CONNECTION_CLOSING),
	[CONNECTION_CLOSING] = STATE(CONNECTION_CLOSED),
	[CONNECTION_CLOSED] = 0,
};
static const struct state_machine connection_states = {
	"connection", state_names, next_states, CONNECTION_CLOSED + 1};

static void connection_move(struct connection *connection, enum connection_state state)
{
	state_change(&connection_states, &connection->state, state, connection->scheduled.number);
}

static void intake_move(struct connection *connection, enum intake intake)
{
	scheduler_move(&connection->set->scheduler, &connection->scheduled, intake);
}

static void on_event(uv_poll_t *poll, int status, int events);

void connection_set_watch(struct connection_set *set, uint64_t due)
{
	uint64_t now = uv_now(&set->runtime->loop), wait = due > now ? due - now : 0;

	if (!uv_is_active((uv_handle_t *)&set->watch) || uv_timer_get_due_in(&set->watch) > wait)
		(void)uv_timer_start(&set->watch, set->on_watch, wait, 0);
}

/* Watches for what the connection can use now: bytes when it may take more, room when it has unsent
 * answers. */
static void connection_watch(struct connection *connection)
{
	int events = connection->blocked ? UV_WRITABLE : 0;

	/* What goes on in the next iteration stops for too short a time to be worth a system call.
	 */
	if (connection->state == CONNECTION_OPEN &&
		connection->scheduled.intake != INTAKE_DEFERRED &&
		connection->scheduled.intake != INTAKE_THROTTLED)
		events |= UV_READABLE;
	if (events == connection->events)
		return;
	if ((connection->events & UV_READABLE) != 0 && (events & UV_READABLE) == 0 &&
		connection->state == CONNECTION_OPEN)
		connection->set->runtime->metrics.reading_paused++;
	connection->events = events;
	if (events == 0)
		(void)uv_poll_stop(&connection->poll);
	else
		(void)uv_poll_start(&connection->poll, events, on_event);
}

/* Its calls and batches charge for themselves. */
static void charge(struct connection *connection)
{
	account_charge(&connection->scheduled.account, &connection->charged,
		connection->frame.capacity + output_held(&connection->output));
}

/* Has to wait until its own calls are answered or its answers are taken. What is being read counts
 * with the length that it will probably have: once begun, an answer cannot be held back. */
static bool over_limit(const struct connection *connection)
{
	const struct settings *settings = connection->set->runtime->settings;
	size_t pending = output_pending(&connection->output);

	if (connection->scheduled.in_flight >= settings->in_flight_limit ||
		pending >= settings->unsent_limit)
		return true;
	if (connection->reads >= FEW_READS &&
		pending + (uint64_t)connection->reads * connection->expected >=
			settings->unsent_limit)
		return true;
	/* The rest of a batch must be begun for its answers to be sent at all, but not while a slow
	 * call holds back those behind it. */
	if (connection->batch != NULL)
		return connection->set->events->answers_ahead(connection->batch) >=
			settings->answer_limit;
	return pending + connection->held_bytes >= settings->unsent_limit;
}

/* What is left of a batch takes less than the batch itself, which ends with it. */
static bool starving(const struct connection *connection)
{
	return connection->batch == NULL &&
		scheduler_memory_short(&connection->set->scheduler, &connection->scheduled);
}

static void take_frame_memory(struct connection *connection)
{
	if (connection->frame.data != NULL)
		return;
	frame_spares_take(&connection->set->frames, &connection->frame);
	connection->frame_used = 0;
}

/* An idle connection holds no memory for reading. */
static void return_frame_memory(struct connection *connection)
{
	struct frame *frame = &connection->frame;

	if (frame->data != NULL && frame->start == frame->end)
		frame_spares_return(&connection->set->frames, frame, connection->frame_used);
}

static void on_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	assert(connection->scheduled.account.held == 0); /* all holders have returned theirs */
	list_remove(&connection->link);
	connection->set->count--;
	connection->set->runtime->metrics.connections_closed++;
	order_free(&connection->order);
	free(connection);
}

/* No call points to it any more. */
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
	connection->set->events->peer_gone(connection);
}

void connection_check_peer(struct connection *connection)
{
	struct pollfd peer = {.fd = connection->fd};

	if (!connection_alive(connection) || connection->scheduled.in_flight == 0 ||
		(connection->events & UV_READABLE) != 0 ||
		atomic_load_explicit(&connection->order.gone, memory_order_relaxed))
		return;
	if (poll(&peer, 1, 0) > 0 && (peer.revents & (POLLHUP | POLLERR)) != 0)
		lose_peer(connection);
}

void connection_change_role(struct connection *connection, enum role role)
{
	connection->role = role;
	atomic_store_explicit(&connection->order.role, (unsigned char)role, memory_order_relaxed);
}

void connection_close(struct connection *connection, const char *reason)
{
	if (!connection_alive(connection))
		return;
	log_event(LOG_DEBUG, "connection closed", log_text("reason", reason),
		log_number("pid", connection->pid), log_number("uid", connection->uid),
		log_number("calls", connection->scheduled.in_flight));
	connection_move(connection, CONNECTION_CLOSING);
	(void)uv_poll_stop(&connection->poll);
	connection->events = 0;
	(void)shutdown(connection->fd, SHUT_RDWR);
	list_remove(&connection->dirty);
	intake_move(connection, INTAKE_STOPPED);
	scheduler_content(&connection->set->scheduler, &connection->scheduled);
	output_free(&connection->output);
	frame_free(&connection->frame);
	connection->scheduled.in_flight++; /* so that it stays until here, whatever ends now */
	if (connection->batch != NULL)
		connection->set->events->abandon_batch(connection);
	charge(connection);
	lose_peer(connection);
	connection_call_done(connection);
}

/* A line is begun, or one has just ended: sets and clears its time limit. */
static void time_line(struct connection *connection)
{
	struct runtime *runtime = connection->set->runtime;

	if (!frame_partial(&connection->frame) || connection->state != CONNECTION_OPEN) {
		connection->partial_since = 0;
	} else if (connection->partial_since == 0) {
		connection->partial_since = uv_now(&runtime->loop);
		connection_set_watch(connection->set,
			connection->partial_since + runtime->settings->line_timeout);
	}
}

/* All lines that were read are begun. */
static void connection_drained(struct connection *connection)
{
	time_line(connection);
	return_frame_memory(connection);
	charge(connection);
	if (connection->state == CONNECTION_HALF_CLOSED && connection->scheduled.in_flight == 0)
		connection_answered(connection); /* so that the iteration's end closes it */
	if (!frame_partial(&connection->frame) && connection->scheduled.in_flight == 0)
		scheduler_content(&connection->set->scheduler, &connection->scheduled);
	/* A long line may be incomplete yet. */
	intake_move(connection, starving(connection) ? INTAKE_THROTTLED : INTAKE_READING);
}

/* The line that was deferred, else the next one. */
static enum frame_result next_line(struct connection *connection, const char **line, size_t *length)
{
	if (connection->long_line == NULL)
		return frame_next(&connection->frame, line, length);
	*line = connection->long_line;
	*length = connection->long_length;
	connection->long_line = NULL;
	connection->scheduled.next_is_long = false;
	return FRAME_LINE;
}

/* An iteration takes a bounded part of all connections' long lines, so that all others are served
 * between. */
static bool defer_long_line(struct connection *connection, const char *line, size_t length)
{
	struct scheduler *scheduler = &connection->set->scheduler;

	if (length <= LONG_LINE || scheduler_takes_long(scheduler, length))
		return false;
	connection->long_line = line; /* nothing is read into the frame until it is begun */
	connection->long_length = length;
	connection->scheduled.next_is_long = true;
	scheduler_ready(scheduler, &connection->scheduled);
	return true;
}

static void take_line(struct connection *connection, const char *line, size_t length)
{
	connection->partial_since = 0;
	connection->lines++;
	connection->heard_at = connection->set->runtime->clock.now;
	connection->set->events->line(connection, line, length);
}

/* Begins one line or call; false when the connection's share has ended. */
static bool begin_next(struct connection *connection)
{
	const char *line;
	size_t length;

	if (connection->batch != NULL) {
		connection->set->events->begin_next(connection);
		return true;
	}
	switch (next_line(connection, &line, &length)) {
	case FRAME_LINE:
		if (defer_long_line(connection, line, length))
			return false;
		take_line(connection, line, length);
		return true;
	case FRAME_TOO_LONG:
		connection->set->events->too_long(connection);
		return true;
	case FRAME_MORE:
		break;
	}
	connection_drained(connection);
	return false;
}

void connection_run(struct scheduled *scheduled)
{
	struct connection *connection = connection_of(scheduled);
	struct scheduler *scheduler = &connection->set->scheduler;
	struct iteration_clock *clock = &connection->set->runtime->clock;
	uint64_t until;
	unsigned lines = 0;

	iteration_clock_wake(clock);
	until = clock->now + SHARE_NS;
	intake_move(connection, INTAKE_RUNNING);
	while (connection_alive(connection)) {
		if (over_limit(connection)) {
			connection->partial_since = 0; /* the daemon is what the line waits for */
			intake_move(connection, INTAKE_DEFERRED);
			break;
		}
		if (starving(connection)) {
			intake_move(connection, INTAKE_THROTTLED);
			break;
		}
		if (lines++ == SHARE_LINES || clock->now > until ||
			scheduler_iteration_over(scheduler)) {
			scheduler_ready(scheduler, scheduled);
			break;
		}
		if (!begin_next(connection))
			break;
	}
	iteration_clock_read(clock);
	if (connection_alive(connection))
		connection_watch(connection);
}

/* No more bytes will come; what was read is answered. */
static void connection_end(struct connection *connection)
{
	connection_move(connection, CONNECTION_HALF_CLOSED);
	frame_end(&connection->frame);
	if (connection->scheduled.intake == INTAKE_READING)
		connection_run(&connection->scheduled);
	else
		connection_watch(connection);
	connection_check_peer(connection);
}

void connection_read(struct connection *connection)
{
	char *space;
	size_t size;
	ssize_t n;

	if (connection->state != CONNECTION_OPEN || connection->scheduled.intake != INTAKE_READING)
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
		connection->set->runtime->metrics.bytes_in += (uint64_t)n;
		connection->bytes_in += (uint64_t)n;
		frame_commit(&connection->frame, (size_t)n);
		if (connection->frame.end > connection->frame_used)
			connection->frame_used = connection->frame.end;
		connection_run(&connection->scheduled);
	} else if (n == 0) {
		connection_end(connection);
	} else if (errno != EAGAIN && errno != EINTR) {
		connection_close(connection, "reading failed");
	} else {
		return_frame_memory(connection);
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
		busy_poll_heard(&connection->set->runtime->busy_poll);
		if (connection->scheduled.intake == INTAKE_READING)
			connection_read(connection);
		else
			connection_watch(connection);
	}
}

/* The peer takes nothing for now: its time limit runs from the last byte that it took. */
static void stalled(struct connection *connection, bool progress)
{
	struct runtime *runtime = connection->set->runtime;

	if (connection->stalled_since != 0 && !progress)
		return;
	connection->stalled_since = uv_now(&runtime->loop);
	connection_set_watch(
		connection->set, connection->stalled_since + runtime->settings->write_timeout);
}

void connection_flush(struct connection *connection)
{
	struct connection_set *set = connection->set;
	enum intake intake = connection->scheduled.intake;
	enum output_result result = OUTPUT_BLOCKED;
	size_t sent = 0;

	list_remove(&connection->dirty);
	if (!connection_alive(connection))
		return;
	if (!connection->blocked) {
		result = output_write(&connection->output, &set->spares, connection->fd, &sent);
		set->runtime->metrics.bytes_out += sent;
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
	if (connection->state == CONNECTION_HALF_CLOSED && connection->scheduled.in_flight == 0 &&
		intake == INTAKE_READING && result == OUTPUT_DONE) {
		connection_close(connection, "all answered");
		return;
	}
	if (intake == INTAKE_DEFERRED && !over_limit(connection))
		scheduler_ready(&set->scheduler, &connection->scheduled);
	connection_watch(connection);
}

struct buffer *connection_text(struct connection *connection)
{
	return output_text(&connection->output, &connection->set->spares);
}

void connection_answered(struct connection *connection)
{
	if (connection_alive(connection) && list_empty(&connection->dirty))
		list_append(&connection->set->dirty, &connection->dirty);
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
	output_add(&connection->output, &connection->set->spares, line);
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

void connection_call_begun(struct connection *connection)
{
	connection->scheduled.in_flight++;
}

void connection_call_done(struct connection *connection)
{
	connection->scheduled.in_flight--;
	if (connection_alive(connection))
		connection_answered(connection);
	else if (connection->state == CONNECTION_CLOSING && connection->scheduled.in_flight == 0)
		connection_release(connection);
}

int connection_open(struct connection_set *set, int fd, const struct peer *peer, enum role role)
{
	struct runtime *runtime = set->runtime;
	struct connection *connection = calloc(1, sizeof *connection);

	if (connection == NULL || uv_poll_init(&runtime->loop, &connection->poll, fd) != 0) {
		free(connection);
		(void)close(fd);
		return -1;
	}
	connection->set = set;
	connection->fd = fd;
	connection->poll.data = connection;
	connection->uid = peer->uid;
	connection->gid = peer->gid;
	connection->pid = peer->pid;
	connection->expected = (size_t)runtime->settings->unsent_limit / FIRST_READS;
	frame_init(&connection->frame, (size_t)runtime->settings->line_limit);
	output_init(&connection->output);
	order_init(&connection->order);
	connection_change_role(connection, role);
	list_init(&connection->held);
	list_init(&connection->dirty);
	scheduler_add(&set->scheduler, &connection->scheduled);
	list_append(&set->connections, &connection->link);
	set->count++;
	connection->scheduled.number = ++runtime->metrics.connections_accepted;
	connection->opened_at = connection->heard_at = uv_hrtime();
	connection_watch(connection);
	return 0;
}
