#include "http.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Bytes of a request's head, and of libmicrohttpd's own data about it. */
enum { REQUEST_MEMORY = 8192 };
/* Times in milliseconds: to send a request, and to take the answer once it is there. */
enum { REQUEST_MS = 5000, SENDING_MS = 5000 };
/* A connection keeps its place for this time without a request, whoever waits for it. */
enum { GRACE_MS = 100 };

static const struct {
	const char *path;
	enum scrape_page page;
	const char *type;
} paths[] = {
	{"/metrics", SCRAPE_METRICS, "text/plain; version=0.0.4; charset=utf-8"},
	{"/healthy", SCRAPE_HEALTHY, "text/plain; charset=utf-8"},
	{"/ready", SCRAPE_READY, "text/plain; charset=utf-8"},
};

enum { PATH_COUNT = sizeof paths / sizeof *paths };

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, const char *text,
	size_t length, const char *type)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		length, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (response == NULL)
		return MHD_NO;
	result = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	/* One request on each connection, so that the times of a connection bound all of it. */
	if (result == MHD_YES)
		result = MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (result == MHD_YES && status == MHD_HTTP_METHOD_NOT_ALLOWED)
		result = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (result == MHD_YES)
		result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result http_refuse(
	struct MHD_Connection *connection, unsigned status, const char *reason)
{
	return respond(connection, status, reason, strlen(reason), "text/plain; charset=utf-8");
}

static bool has_body(struct MHD_Connection *connection)
{
	const char *length = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return (length != NULL && strcmp(length, "0") != 0) ||
		MHD_lookup_connection_value(
			connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

static struct http_client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info != NULL ? info->socket_context : NULL;
}

/* libmicrohttpd calls this when the head of a request is complete, and again when its connection
 * continues. */
static enum MHD_Result take_request(void *context, struct MHD_Connection *connection,
	const char *path, const char *method, const char *version, const char *data, size_t *size,
	void **request)
{
	struct http *http = context;
	struct http_client *client = client_of(connection);
	const struct page *page;
	int i = 0;

	(void)version;
	(void)data;
	(void)size;
	(void)request;
	if (client == NULL)
		return MHD_NO;
	while (i < PATH_COUNT && strcmp(paths[i].path, path) != 0)
		i++;
	if (!client->asked)
		client->deadline = scrape_now() + http->answer_ms;
	if (i == PATH_COUNT)
		return http_refuse(connection, MHD_HTTP_NOT_FOUND,
			"not found: there are /metrics, /healthy and /ready\n");
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return http_refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
			"only GET and HEAD are answered\n");
	if (has_body(connection))
		return http_refuse(
			connection, MHD_HTTP_BAD_REQUEST, "a request has no body here\n");
	if (!client->asked)
		scrape_begin(http->scrape);
	client->asked = true;
	page = scrape_page(http->scrape, paths[i].page);
	if (page == NULL) {
		client->waiting = true;
		MHD_suspend_connection(connection);
		return MHD_YES;
	}
	if (page->text == NULL)
		return http_refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
	return respond(connection, page->status, page->text, page->length, paths[i].type);
}

/* libmicrohttpd closes the connection when it reads its end. */
static void http_drop(struct http *http, struct http_client *client)
{
	(void)shutdown(client->fd, SHUT_RDWR);
	client->ended = true;
	http->dropped++;
}

static bool has_unread(const struct http_client *client)
{
	int bytes = 0;

	return ioctl(client->fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

/* The oldest connection without a request. */
static struct http_client *oldest_idle(const struct http *http)
{
	struct http_client *oldest = NULL;

	for (size_t i = 0; i < http->places; i++) {
		struct http_client *client = &http->clients[i];

		if (client->connection == NULL || client->asked || client->ended ||
			has_unread(client))
			continue;
		if (oldest == NULL || client->began < oldest->began)
			oldest = client;
	}
	return oldest;
}

/* When all places are taken, connections without a request give up theirs. So clients that connect
 * and send nothing cannot keep others out. */
static void http_make_room(struct http *http, uint64_t now)
{
	struct http_client *oldest;

	if (http->count < http->places)
		return;
	while ((oldest = oldest_idle(http)) != NULL && now - oldest->began >= GRACE_MS)
		http_drop(http, oldest);
}

static void take_connection(struct http *http, struct MHD_Connection *connection, void **place)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_client *client = http->clients;
	uint64_t now = scrape_now();

	/* libmicrohttpd holds no more connections than there are places. */
	while (client < http->clients + http->places && client->connection != NULL)
		client++;
	if (client == http->clients + http->places || info == NULL)
		return; /* take_request() refuses it */
	*client = (struct http_client){.connection = connection,
		.fd = info->connect_fd,
		.began = now,
		.deadline = now + REQUEST_MS};
	*place = client;
	if (++http->count == http->places)
		http->full = true;
}

static void notice_connection(void *context, struct MHD_Connection *connection, void **place,
	enum MHD_ConnectionNotificationCode code)
{
	struct http *http = context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		take_connection(http, connection, place);
	} else if (*place != NULL) {
		*(struct http_client *)*place = (struct http_client){0};
		*place = NULL;
		http->count--;
	}
}

/* Paths are compared as they were sent. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context;
	(void)connection;
	return strlen(text);
}

bool http_start(struct http *http, int listener, struct scrape *scrape, size_t connections,
	uint64_t timeout_ms)
{
	*http = (struct http){.scrape = scrape,
		.places = connections,
		.clients = calloc(connections, sizeof *http->clients),
		.answer_ms = timeout_ms + SENDING_MS};
	if (http->clients == NULL)
		return false;
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		take_request, http, MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_MEMORY,
		MHD_OPTION_NOTIFY_CONNECTION, notice_connection, http, MHD_OPTION_UNESCAPE_CALLBACK,
		keep_escapes, NULL, MHD_OPTION_END);
	if (http->daemon == NULL)
		free(http->clients);
	return http->daemon != NULL;
}

static void resume_waiting(struct http *http)
{
	for (size_t i = 0; i < http->places; i++)
		if (http->clients[i].waiting) {
			http->clients[i].waiting = false;
			MHD_resume_connection(http->clients[i].connection);
		}
}

void http_stop(struct http *http)
{
	resume_waiting(http);
	MHD_stop_daemon(http->daemon);
	free(http->clients);
}

int http_fd(const struct http *http)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	return info->epoll_fd;
}

/* A suspended connection is not watched: it continues when the daemon has answered, or its time is
 * over. */
static bool is_timed(const struct http_client *client)
{
	return client->connection != NULL && !client->waiting && !client->ended;
}

int http_timeout_ms(const struct http *http)
{
	MHD_UNSIGNED_LONG_LONG wanted;
	uint64_t now = scrape_now(), due = UINT64_MAX;
	const struct http_client *oldest = http->count == http->places ? oldest_idle(http) : NULL;

	if (http->full && http->count < http->places)
		return 0;
	if (oldest != NULL)
		due = oldest->began + GRACE_MS > now ? oldest->began + GRACE_MS : now + 1;
	if (MHD_get_timeout(http->daemon, &wanted) == MHD_YES && now + wanted < due)
		due = now + wanted;
	for (size_t i = 0; i < http->places; i++)
		if (is_timed(&http->clients[i]) && http->clients[i].deadline < due)
			due = http->clients[i].deadline;
	if (due == UINT64_MAX)
		return -1;
	return due > now ? (int)(due - now) : 0;
}

void http_run(struct http *http)
{
	uint64_t now = scrape_now();

	if (!http->scrape->running)
		resume_waiting(http);
	for (size_t i = 0; i < http->places; i++)
		if (is_timed(&http->clients[i]) && http->clients[i].deadline <= now)
			http_drop(http, &http->clients[i]);
	http_make_room(http, now);
	if (http->count < http->places)
		http->full = false;
	(void)MHD_run(http->daemon);
}
