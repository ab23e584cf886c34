#include "server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../protocol/wire/rpc.h"
#include "../loop/daemon.h"
#include "../loop/log.h"
#include "../loop/process.h"

enum {
	ACCEPT_MAX = 64, /* of one event */
	RETRY_MS = 100,
	DESCRIPTORS_OF_OTHERS = 64, /* kept for the database, the log, the loop */
	TRIM_PEAK = 4 * 1024 * 1024,
	SMALL_SHARE = 64 * 1024, /* connections that hold less never wait for memory */
	ITERATION_NS = 10 * 1000 * 1000,
	LONG_BYTES = 256 * 1024, /* of long lines in one iteration; the last one may go beyond */
};

static void open_reserve(struct server *server)
{
	if (server->reserve_fd < 0)
		server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* One answer, then the end. What the client has sent is read, so that it is not cut off before it
 * sees the answer. */
static void server_refuse(struct server *server, int fd, const char *why)
{
	struct buffer text = {.cap = 4096};
	struct err err;
	char ignored[4096];

	server->daemon->metrics.connections_refused++;
	(void)err_set(&err, ERR_OVERLOADED, "%s", why);
	rpc_error(&text, "null", 4, &err);
	buffer_byte(&text, '\n');
	if (text.failure == BUFFER_OK)
		(void)send(fd, text.data, text.length, MSG_NOSIGNAL | MSG_DONTWAIT);
	buffer_free(&text);
	(void)shutdown(fd, SHUT_WR);
	(void)recv(fd, ignored, sizeof ignored, MSG_DONTWAIT);
	(void)close(fd);
}

/* extra: places beyond the limit. */
static bool user_is_full(const struct server *server, uid_t uid, uint64_t extra)
{
	uint64_t max = server->daemon->settings.connections_per_user, count = 0;

	if (max == 0)
		return false;
	list_for_each (node, &server->connections)
		count += list_entry(node, struct connection, link)->uid == uid;
	return count >= max + extra;
}

static uint64_t max_connections(const struct server *server)
{
	uint64_t max = server->daemon->settings.connections;
	uint64_t room = server->descriptor_limit > DESCRIPTORS_OF_OTHERS
		? server->descriptor_limit - DESCRIPTORS_OF_OTHERS
		: 1;

	return max < room ? max : room;
}

static void welcome(struct server *server, int fd)
{
	struct daemon *daemon = server->daemon;
	struct peer peer;
	enum role role;
	uint64_t max = max_connections(server), extra;

	if (!access_peer(fd, daemon->access.by_group, &peer)) {
		(void)close(fd);
		return;
	}
	role = access_role(&daemon->access, &peer);
	extra = role == ROLE_ADMIN ? daemon->settings.admin_connections : 0;
	if (server->count >= max + extra)
		server_refuse(server, fd, "the daemon has as many connections as it takes");
	else if (user_is_full(server, peer.uid, extra))
		server_refuse(server, fd,
			"this user has as many connections as the daemon takes of one user");
	else if (connection_open(daemon, fd, &peer, role) < 0)
		log_event(LOG_WARNING, "a connection was dropped: out of memory");
}

static void on_retry(uv_timer_t *timer);

/* Descriptors are out: with the reserve one client at a time can still be told; else accepting
 * pauses for a moment. */
static void out_of_descriptors(struct server *server)
{
	int fd = -1;

	server->daemon->metrics.accept_failures++;
	if (server->reserve_fd >= 0) {
		(void)close(server->reserve_fd);
		server->reserve_fd = -1;
		fd = accept4(server->daemon->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			server_refuse(server, fd, "the daemon is out of file descriptors");
		open_reserve(server);
	}
	if (fd >= 0)
		return;
	(void)uv_poll_stop(&server->listener);
	(void)uv_timer_start(&server->retry, on_retry, RETRY_MS, 0);
}

static void accept_some(struct server *server, int max)
{
	while (max-- > 0) {
		int fd = accept4(
			server->daemon->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			welcome(server, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			errno == ENOBUFS) {
			out_of_descriptors(server);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
	struct server *server = poll->data;

	(void)events;
	if (status == 0)
		accept_some(server, ACCEPT_MAX);
}

static void on_retry(uv_timer_t *timer)
{
	struct server *server = timer->data;

	open_reserve(server);
	if (server->listening)
		(void)uv_poll_start(&server->listener, UV_READABLE, on_listener);
}

/* It is the daemon that the rest of the line waits for. */
static bool waits_for_memory(const struct connection *connection)
{
	int unread = 0;

	return !list_empty(&connection->throttled) &&
		ioctl(connection->fd, FIONREAD, &unread) == 0 && unread > 0;
}

/* Ends connections whose time is over, and sets the timer to the next limit. */
static void on_watch(uv_timer_t *timer)
{
	struct server *server = timer->data;
	const struct settings *settings = &server->daemon->settings;
	uint64_t now = uv_now(&server->daemon->loop);

	list_for_each_safe (node, &server->connections) {
		struct connection *connection = list_entry(node, struct connection, link);
		uint64_t line = connection->partial_since, write = connection->stalled_since;

		if (!connection_alive(connection))
			continue;
		if (line != 0 && waits_for_memory(connection))
			connection->partial_since = line = now;
		if (line != 0 && now - line >= settings->line_timeout) {
			server->daemon->metrics.line_timeouts++;
			connection_close(connection, "a line was begun and not ended in time");
		} else if (write != 0 && now - write >= settings->write_timeout) {
			server->daemon->metrics.write_timeouts++;
			connection_close(connection, "the peer took none of its answers in time");
		} else {
			if (line != 0)
				server_watch(server, line + settings->line_timeout);
			if (write != 0)
				server_watch(server, write + settings->write_timeout);
		}
	}
}

void server_watch(struct server *server, uint64_t due)
{
	uint64_t now = uv_now(&server->daemon->loop), wait = due > now ? due - now : 0;

	if (!uv_is_active((uv_handle_t *)&server->watch) ||
		uv_timer_get_due_in(&server->watch) > wait)
		(void)uv_timer_start(&server->watch, on_watch, wait, 0);
}

bool server_iteration_over(struct server *server)
{
	uint64_t now = server->daemon->dispatch.clock;

	if (server->iteration_ends == 0)
		server->iteration_ends = now + ITERATION_NS;
	return now > server->iteration_ends;
}

bool server_takes_long(struct server *server, size_t length)
{
	if (!server->long_iteration || server->long_bytes >= LONG_BYTES)
		return false;
	server->long_bytes += length;
	if (server->long_bytes > server->long_bytes_max)
		server->long_bytes_max = server->long_bytes;
	return true;
}

/* Those that were there at the beginning, each once; for whom there is no time any more is first in
 * the next iteration. */
static void server_serve(struct server *server, struct list *list)
{
	struct list iteration;

	list_init(&iteration);
	list_splice(&iteration, list);
	do
		connection_pump(list_entry(list_first(&iteration), struct connection, ready));
	while (!list_empty(&iteration) && !server_iteration_over(server) &&
		server->long_bytes < LONG_BYTES);
	list_splice_front(list, &iteration);
}

/* Each of those that had more at the turn's start gets its share; who still has more comes to the
 * end of the list. */
static void on_more(uv_idle_t *idle)
{
	struct server *server = idle->data;

	server->long_bytes = 0;
	if (!list_empty(&server->ready))
		server_serve(server, &server->ready);
	if (!list_empty(&server->long_ready)) {
		server->iteration_ends = 0;
		server->long_iteration = true;
		server_serve(server, &server->long_ready);
		server->long_iteration = false;
	}
	if (list_empty(&server->ready) && list_empty(&server->long_ready))
		(void)uv_idle_stop(idle);
}

void server_ready(struct server *server, struct connection *connection)
{
	if (list_empty(&connection->ready))
		list_append(connection->long_line != NULL ? &server->long_ready : &server->ready,
			&connection->ready);
	if (!uv_is_active((uv_handle_t *)&server->more))
		(void)uv_idle_start(&server->more, on_more);
}

static void limit_descriptors(struct server *server)
{
	uint64_t wanted = server->daemon->settings.connections;

	server->descriptor_limit =
		process_raise_descriptors(wanted + 4 * (uint64_t)DESCRIPTORS_OF_OTHERS);
	if (max_connections(server) < wanted)
		log_event(LOG_WARNING,
			"the limit of open files allows fewer connections than the setting",
			log_number("files", server->descriptor_limit),
			log_number("connections", max_connections(server)));
}

int server_init(struct server *server, struct daemon *daemon)
{
	uv_loop_t *loop = &daemon->loop;

	*server = (struct server){.daemon = daemon, .reserve_fd = -1};
	list_init(&server->connections);
	list_init(&server->ready);
	list_init(&server->long_ready);
	list_init(&server->dirty);
	list_init(&server->throttled);
	limit_descriptors(server);
	open_reserve(server);
	(void)uv_timer_init(loop, &server->watch);
	(void)uv_timer_init(loop, &server->retry);
	(void)uv_idle_init(loop, &server->more);
	server->watch.data = server->retry.data = server->more.data = server;
	if (uv_poll_init(loop, &server->listener, daemon->socket.fd) != 0)
		return -1;
	server->listener.data = server;
	return 0;
}

int server_listen(struct server *server)
{
	server->listening = true;
	return uv_poll_start(&server->listener, UV_READABLE, on_listener);
}

void server_stop_listening(struct server *server)
{
	if (!server->listening)
		return;
	/* Whoever has connected by now is told; an inherited socket's queue is for the next daemon.
	 */
	if (!server->daemon->socket.inherited)
		accept_some(server, SOCKET_BACKLOG);
	server->listening = false;
	(void)uv_timer_stop(&server->retry);
	uv_close((uv_handle_t *)&server->listener, NULL);
	/* Later ones are turned away by the system at once, instead of waiting for nothing. */
	if (!server->daemon->socket.inherited)
		socket_deafen(&server->daemon->socket);
}

void server_close_handles(struct server *server)
{
	server->listening = false;
	list_for_each_safe (node, &server->connections)
		connection_close(list_entry(node, struct connection, link), "the daemon ends");
	if (!uv_is_closing((uv_handle_t *)&server->listener))
		uv_close((uv_handle_t *)&server->listener, NULL);
	uv_close((uv_handle_t *)&server->watch, NULL);
	uv_close((uv_handle_t *)&server->retry, NULL);
	uv_close((uv_handle_t *)&server->more, NULL);
}

void server_free(struct server *server)
{
	assert(list_empty(&server->connections) && server->account.held == 0);
	output_spares_free(&server->spares);
	while (server->frame_count > 0)
		free(server->frames[--server->frame_count]);
	if (server->reserve_fd >= 0)
		(void)close(server->reserve_fd);
}

/* A single line must fit whatever the setting says, or its connection could never go on. */
static uint64_t free_memory(const struct server *server)
{
	const struct settings *settings = &server->daemon->settings;
	uint64_t min = 4 * settings->line_limit;
	uint64_t limit = settings->memory_limit > min ? settings->memory_limit : min;

	return limit > server->account.held ? limit - server->account.held : 0;
}

/* A connection may hold as much as is free: n that want all get a part of n + 1 each, and the rest
 * is left for whoever comes. When all wait, the favoured one goes on, so that somebody always does.
 */
bool server_memory_short(const struct server *server, const struct connection *connection)
{
	size_t held = connection->account.held;

	return held > SMALL_SHARE && held > free_memory(server) &&
		(connection != server->favoured || connection->calls > 0);
}

void server_content(struct server *server, const struct connection *connection)
{
	if (server->favoured == connection)
		server->favoured = NULL;
}

/* Who has calls under way goes on when they end; of the others the one that waits for longest is
 * favoured. */
static void favour_one(struct server *server)
{
	list_for_each (node, &server->throttled) {
		struct connection *connection = list_entry(node, struct connection, throttled);

		if (server->favoured != NULL)
			return;
		if (connection->calls == 0) {
			server->favoured = connection;
			server->favoured_waits = false;
		}
	}
}

/* A favoured connection whose client does not send the rest of its line makes way for the next one.
 */
static void favour_next(struct server *server)
{
	struct connection *connection = server->favoured;

	if (connection == NULL || connection->calls > 0)
		return;
	if (server->favoured_waits)
		server->favoured = NULL;
	server->favoured_waits = true;
}

void server_iteration(struct server *server)
{
	server->iteration_ends = 0;
	while (!list_empty(&server->dirty))
		connection_flush(list_entry(list_first(&server->dirty), struct connection, dirty));
	if (server->account.held > server->memory_peak)
		server->memory_peak = server->account.held;
	favour_one(server);
	list_for_each_safe (node, &server->throttled) {
		struct connection *connection = list_entry(node, struct connection, throttled);

		if (server_memory_short(server, connection))
			continue;
		list_remove(&connection->throttled);
		server_ready(server, connection);
	}
}

void server_look_for_peers(struct server *server)
{
	list_for_each_safe (node, &server->connections)
		connection_look_for_peer(list_entry(node, struct connection, link));
}

void server_trim(struct server *server)
{
	size_t held = server->account.held;

	favour_next(server);
	if (server->memory_peak > TRIM_PEAK && held < server->memory_peak / 8) {
		(void)malloc_trim(0);
		server->memory_peak = held;
	}
}

void server_reload(struct server *server)
{
	struct daemon *daemon = server->daemon;

	limit_descriptors(server);
	(void)uv_timer_start(&server->watch, on_watch, 0, 0);

	list_for_each (node, &server->connections) {
		struct connection *connection = list_entry(node, struct connection, link);
		struct peer peer;

		if (connection_alive(connection) &&
			access_peer(connection->fd, daemon->access.by_group, &peer))
			connection_set_role(connection, access_role(&daemon->access, &peer));
		connection->frame.limit = (size_t)daemon->settings.line_limit;
	}
}

bool server_idle(const struct server *server)
{
	if (server->daemon->dispatch.calls > 0 || !list_empty(&server->ready) ||
		!list_empty(&server->long_ready) || !list_empty(&server->dirty))
		return false;
	list_for_each (node, &server->connections) {
		const struct connection *connection = list_entry(node, struct connection, link);

		if (connection_alive(connection) && output_pending(&connection->output) > 0)
			return false;
	}
	return true;
}
