#include "server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../protocol/wire/rpc.h"
#include "../base/log.h"
#include "../base/process.h"

enum {
	ACCEPT_MAX = 64, /* of one event */
	RETRY_MS = 100,
	DESCRIPTORS_OF_OTHERS = 64, /* kept for the database, the log, the loop */
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

	server->runtime->metrics.connections_refused++;
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
	uint64_t max = server->runtime->settings->connections_per_user, count = 0;

	if (max == 0)
		return false;
	list_for_each (node, &server->set.connections)
		count += list_entry(node, struct connection, link)->uid == uid;
	return count >= max + extra;
}

static uint64_t max_connections(const struct server *server)
{
	uint64_t max = server->runtime->settings->connections;
	uint64_t room = server->descriptor_limit > DESCRIPTORS_OF_OTHERS
		? server->descriptor_limit - DESCRIPTORS_OF_OTHERS
		: 1;

	return max < room ? max : room;
}

static void welcome(struct server *server, int fd)
{
	struct connection_set *set = &server->set;
	struct peer peer;
	enum role role;
	uint64_t max = max_connections(server), extra;

	if (!access_peer(fd, server->access->by_group, &peer)) {
		(void)close(fd);
		return;
	}
	role = access_role(server->access, &peer);
	extra = role == ROLE_ADMIN ? server->runtime->settings->admin_connections : 0;
	if (set->count >= max + extra)
		server_refuse(server, fd, "the daemon has reached its limit of connections");
	else if (user_is_full(server, peer.uid, extra))
		server_refuse(
			server, fd, "this user has reached the limit of connections of one user");
	else if (connection_open(set, fd, &peer, role) < 0)
		log_event(LOG_WARNING, "a connection was dropped: out of memory");
}

static void on_retry(uv_timer_t *timer);

/* Out of descriptors: with the reserve one client at a time can still be refused politely; else
 * accepting pauses for a moment. */
static void out_of_descriptors(struct server *server)
{
	int fd = -1;

	server->runtime->metrics.accept_failures++;
	if (server->reserve_fd >= 0) {
		(void)close(server->reserve_fd);
		server->reserve_fd = -1;
		fd = accept4(server->socket->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
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
		int fd = accept4(server->socket->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

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

	return connection->scheduled.intake == INTAKE_THROTTLED &&
		ioctl(connection->fd, FIONREAD, &unread) == 0 && unread > 0;
}

/* Ends connections whose time is over, and sets the timer to the next limit. */
static void on_watch(uv_timer_t *timer)
{
	struct connection_set *set = timer->data;
	const struct settings *settings = set->runtime->settings;
	uint64_t now = uv_now(&set->runtime->loop);

	list_for_each_safe (node, &set->connections) {
		struct connection *connection = list_entry(node, struct connection, link);
		uint64_t line = connection->partial_since, write = connection->stalled_since;

		if (!connection_alive(connection))
			continue;
		if (line != 0 && waits_for_memory(connection))
			connection->partial_since = line = now;
		if (line != 0 && now - line >= settings->line_timeout) {
			set->runtime->metrics.line_timeouts++;
			connection_close(connection, "a line was not completed in time");
		} else if (write != 0 && now - write >= settings->write_timeout) {
			set->runtime->metrics.write_timeouts++;
			connection_close(connection, "the peer took no answer in time");
		} else {
			if (line != 0)
				connection_set_watch(set, line + settings->line_timeout);
			if (write != 0)
				connection_set_watch(set, write + settings->write_timeout);
		}
	}
}

static void limit_descriptors(struct server *server)
{
	uint64_t wanted = server->runtime->settings->connections;

	server->descriptor_limit =
		process_raise_descriptors(wanted + 4 * (uint64_t)DESCRIPTORS_OF_OTHERS);
	if (max_connections(server) < wanted)
		log_event(LOG_WARNING,
			"the limit of open files allows fewer connections than the setting",
			log_number("files", server->descriptor_limit),
			log_number("connections", max_connections(server)));
}

static void init_set(struct server *server, const struct server_parts *parts)
{
	struct connection_set *set = &server->set;

	set->runtime = parts->runtime;
	set->events = parts->events;
	set->owner = parts->owner;
	set->on_watch = on_watch;
	list_init(&set->connections);
	list_init(&set->dirty);
	scheduler_init(&set->scheduler, parts->runtime, connection_run);
	(void)uv_timer_init(&parts->runtime->loop, &set->watch);
	set->watch.data = set;
}

int server_init(struct server *server, const struct server_parts *parts)
{
	uv_loop_t *loop = &parts->runtime->loop;

	*server = (struct server){.runtime = parts->runtime,
		.socket = parts->socket,
		.access = parts->access,
		.reserve_fd = -1};
	init_set(server, parts);
	limit_descriptors(server);
	open_reserve(server);
	(void)uv_timer_init(loop, &server->retry);
	server->retry.data = server;
	if (uv_poll_init(loop, &server->listener, server->socket->fd) != 0)
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
	/* Clients in the queue are refused; an inherited socket's queue is for the next daemon. */
	if (!server->socket->inherited)
		accept_some(server, SOCKET_BACKLOG);
	server->listening = false;
	(void)uv_timer_stop(&server->retry);
	uv_close((uv_handle_t *)&server->listener, NULL);
	/* The system refuses later ones at once, so that they do not wait in vain. */
	if (!server->socket->inherited)
		socket_deafen(server->socket);
}

void server_close_handles(struct server *server)
{
	struct connection_set *set = &server->set;

	server->listening = false;
	list_for_each_safe (node, &set->connections)
		connection_close(list_entry(node, struct connection, link), "the daemon ends");
	if (!uv_is_closing((uv_handle_t *)&server->listener))
		uv_close((uv_handle_t *)&server->listener, NULL);
	uv_close((uv_handle_t *)&set->watch, NULL);
	uv_close((uv_handle_t *)&server->retry, NULL);
	scheduler_close_handles(&set->scheduler);
}

void server_free(struct server *server)
{
	struct connection_set *set = &server->set;

	assert(list_empty(&set->connections) && set->scheduler.account.held == 0);
	output_spares_free(&set->spares);
	frame_spares_free(&set->frames);
	if (server->reserve_fd >= 0)
		(void)close(server->reserve_fd);
}

void server_iteration(struct server *server)
{
	struct connection_set *set = &server->set;

	while (!list_empty(&set->dirty))
		connection_flush(list_entry(list_first(&set->dirty), struct connection, dirty));
	scheduler_iteration(&set->scheduler);
}

void server_read_rest(struct server *server)
{
	list_for_each_safe (node, &server->set.connections)
		connection_read(list_entry(node, struct connection, link));
}

void server_check_peers(struct server *server)
{
	list_for_each_safe (node, &server->set.connections)
		connection_check_peer(list_entry(node, struct connection, link));
}

void server_trim(struct server *server)
{
	scheduler_trim(&server->set.scheduler);
}

void server_reload(struct server *server)
{
	const struct settings *settings = server->runtime->settings;

	limit_descriptors(server);
	(void)uv_timer_start(&server->set.watch, on_watch, 0, 0);

	list_for_each (node, &server->set.connections) {
		struct connection *connection = list_entry(node, struct connection, link);
		struct peer peer;

		if (connection_alive(connection) &&
			access_peer(connection->fd, server->access->by_group, &peer))
			connection_change_role(connection, access_role(server->access, &peer));
		connection->frame.limit = (size_t)settings->line_limit;
	}
}

bool server_idle(const struct server *server)
{
	if (!scheduler_idle(&server->set.scheduler) || !list_empty(&server->set.dirty))
		return false;
	list_for_each (node, &server->set.connections) {
		const struct connection *connection = list_entry(node, struct connection, link);

		if (connection_alive(connection) && output_pending(&connection->output) > 0)
			return false;
	}
	return true;
}
