/* The benchmark's load generator for more than one method at full speed: calls chosen at random
 * from a file of prepared ones (a mixture of methods, other keys in every call), and a given rate
 * of calls.
 *
 * The file contains one call per line: the members of a request without its id, as in
 * "method":"get_user","params":["…"]. At a given rate, a call's time counts from the moment at
 * which it was due, so that a stall shows in every call that it delays. With --redis the same load
 * goes to a Redis server: a line is one of its inline commands, and answers of one line arrive in
 * order. One thread, one epoll; prints one line of JSON. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "peers/peer.h"

enum { PIPELINE_MAX = 256, INPUT_SIZE = 256 * 1024, EVENTS = 256, STALL_MS = 30000, ID_TEXT = 8 };

struct client {
	int fd;
	char *in, *out;
	size_t in_length, out_start, out_length, out_capacity;
	uint64_t sent[PIPELINE_MAX]; /* when the call with that id was sent, or was due */
	uint16_t idle[PIPELINE_MAX]; /* a ring: the ids that are not in flight, the next one at
	                                `begun`, the last at `answered` */
	size_t begun, answered;
	bool waits_to_write;
};

struct load {
	const char *socket, *lines_path;
	size_t clients, pipeline, calls;
	double rate; /* calls per second; 0 = as fast as answers come */
	bool redis;
	struct peer_keys lines;
	struct peer_times times;
	struct client *all;
	size_t begun, errors, bytes, turn;
	int epoll;
	char id_texts[PIPELINE_MAX][ID_TEXT]; /* `7,`: formatted once, not in each call */
	size_t id_lengths[PIPELINE_MAX];
};

static void grow_out(struct client *client, size_t more)
{
	if (client->out_length + more <= client->out_capacity)
		return;
	client->out_capacity = (client->out_length + more) * 2;
	client->out = realloc(client->out, client->out_capacity);
	if (client->out == NULL)
		peer_die("out of memory");
}

static void put(struct client *client, const char *text, size_t length)
{
	memcpy(client->out + client->out_length, text, length);
	client->out_length += length;
}

static bool has_room(const struct load *load, const struct client *client)
{
	return client->begun - client->answered < load->pipeline;
}

/* Appends one call to the client's unsent data. */
static void begin_call(struct load *load, struct client *client, uint64_t when)
{
	static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":";
	const char *line = peer_keys_random(&load->lines);
	size_t length = strlen(line);
	unsigned id = client->idle[client->begun++ % load->pipeline];

	grow_out(client, sizeof head + ID_TEXT + length + 2);
	if (!load->redis) {
		put(client, head, sizeof head - 1);
		put(client, load->id_texts[id], load->id_lengths[id]);
	}
	put(client, line, length);
	put(client, load->redis ? "\r\n" : "}\n", 2);
	client->sent[id] = when;
	load->begun++;
}

static void write_out(struct load *load, struct client *client)
{
	bool blocked = false;

	while (client->out_start < client->out_length) {
		ssize_t written = send(client->fd, client->out + client->out_start,
			client->out_length - client->out_start, MSG_NOSIGNAL);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && errno == EAGAIN) {
			blocked = true;
			break;
		}
		if (written < 0)
			peer_die("writing: %s", strerror(errno));
		client->out_start += (size_t)written;
	}
	if (!blocked)
		client->out_start = client->out_length = 0;
	if (blocked != client->waits_to_write) {
		struct epoll_event event = {
			.events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data = {.ptr = client}};

		client->waits_to_write = blocked;
		if (epoll_ctl(load->epoll, EPOLL_CTL_MOD, client->fd, &event) < 0)
			peer_die("epoll: %s", strerror(errno));
	}
}

static unsigned id_of_answer(struct load *load, const char *line, size_t length)
{
	static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":", result[] = ",\"result\":";
	const char *at = line + sizeof head - 1, *end = line + length;
	unsigned id = 0;

	if (length < sizeof head || memcmp(line, head, sizeof head - 1) != 0)
		peer_die("not an answer: %.*s", (int)length, line);
	while (at < end && *at >= '0' && *at <= '9')
		id = id * 10 + (unsigned)(*at++ - '0');
	if ((size_t)(end - at) < sizeof result - 1 || memcmp(at, result, sizeof result - 1) != 0) {
		if (load->errors++ == 0)
			(void)fprintf(stderr, "the first error: %.*s\n", (int)length, line);
	}
	return id;
}

static void take_answer(
	struct load *load, struct client *client, const char *line, size_t length, uint64_t now)
{
	unsigned id;

	if (load->redis && line[0] != '+')
		peer_die("not an answer: %.*s", (int)length, line);
	id = load->redis ? client->idle[client->answered % load->pipeline]
			 : id_of_answer(load, line, length);
	if (id >= load->pipeline || client->sent[id] == 0)
		peer_die("an answer to no call: %.*s", (int)length, line);
	peer_times_add(&load->times, now - client->sent[id]);
	client->sent[id] = 0;
	client->idle[client->answered++ % load->pipeline] = (uint16_t)id;
}

static void read_answers(struct load *load, struct client *client)
{
	ssize_t got =
		recv(client->fd, client->in + client->in_length, INPUT_SIZE - client->in_length, 0);
	char *line = client->in, *end, *newline;
	uint64_t now;

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0)
		peer_die("the daemon closed a connection");
	now = peer_clock();
	load->bytes += (size_t)got;
	end = client->in + client->in_length + got;
	while ((newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		take_answer(load, client, line, (size_t)(newline - line), now);
		line = newline + 1;
	}
	client->in_length = (size_t)(end - line);
	if (client->in_length == INPUT_SIZE)
		peer_die("an answer is longer than %d bytes", INPUT_SIZE);
	memmove(client->in, line, client->in_length);
}

static void fill(struct load *load, struct client *client, uint64_t now)
{
	while (has_room(load, client) && load->begun < load->calls)
		begin_call(load, client, now);
	write_out(load, client);
}

/* Returns the next client in turn that has room; NULL when all are busy. */
static struct client *next_client(struct load *load)
{
	for (size_t i = 0; i < load->clients; i++) {
		struct client *client = &load->all[load->turn++ % load->clients];

		if (has_room(load, client))
			return client;
	}
	return NULL;
}

/* Sends every due call on the next client that has room, and returns the ns until the next one.
 * Calls that are due at once on one connection share one write. */
static uint64_t send_due(struct load *load)
{
	uint64_t now = peer_clock(), wait = (uint64_t)STALL_MS * 1000000;
	size_t first = load->begun;

	while (load->begun < load->calls) {
		uint64_t due =
			load->times.started + (uint64_t)((double)load->begun * 1e9 / load->rate);
		struct client *client;

		if (due > now) {
			wait = due - now;
			break;
		}
		client = next_client(load);
		if (client == NULL) /* the next answer frees a slot */
			break;
		begin_call(load, client, due);
	}
	for (size_t i = 0; load->begun > first && i < load->clients; i++)
		if (load->all[i].out_length > load->all[i].out_start &&
			!load->all[i].waits_to_write)
			write_out(load, &load->all[i]);
	return wait;
}

static void open_client(struct load *load, struct client *client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = client}};

	if (strlen(load->socket) >= sizeof address.sun_path)
		peer_die("%s: too long for a socket", load->socket);
	memcpy(address.sun_path, load->socket, strlen(load->socket));
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0 ||
		connect(client->fd, (struct sockaddr *)&address, sizeof address) < 0 ||
		fcntl(client->fd, F_SETFL, O_NONBLOCK) < 0 ||
		epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) < 0)
		peer_die("%s: %s", load->socket, strerror(errno));
	client->in = malloc(INPUT_SIZE);
	if (client->in == NULL)
		peer_die("out of memory");
	for (size_t i = 0; i < load->pipeline; i++)
		client->idle[i] = (uint16_t)i;
}

static void run(struct load *load)
{
	struct epoll_event events[EVENTS];

	peer_times_begin(&load->times, load->calls);
	for (size_t i = 0; load->rate == 0.0 && i < load->clients; i++)
		fill(load, &load->all[i], peer_clock());
	while (load->times.count < load->calls) {
		uint64_t wait = load->rate > 0.0 ? send_due(load) : (uint64_t)STALL_MS * 1000000;
		struct timespec limit = {.tv_sec = (time_t)(wait / 1000000000),
			.tv_nsec = (long)(wait % 1000000000)};
		int count = epoll_pwait2(load->epoll, events, EVENTS, &limit, NULL);

		if (count < 0 && errno != EINTR)
			peer_die("epoll: %s", strerror(errno));
		if (count == 0 && wait == (uint64_t)STALL_MS * 1000000)
			peer_die("no answer within %d s", STALL_MS / 1000);
		for (int i = 0; i < count; i++) {
			struct client *client = events[i].data.ptr;

			if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0)
				read_answers(load, client);
			if (load->rate == 0.0)
				fill(load, client, peer_clock());
			else if ((events[i].events & EPOLLOUT) != 0)
				write_out(load, client);
		}
	}
}

static void read_options(struct load *load, int argc, char **argv)
{
	*load = (struct load){.clients = 1, .pipeline = 1, .calls = 10000};
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *name = argv[i], *text = argv[i + 1];

		if (strcmp(name, "--socket") == 0)
			load->socket = text;
		else if (strcmp(name, "--lines") == 0)
			load->lines_path = text;
		else if (strcmp(name, "--clients") == 0)
			load->clients = strtoul(text, NULL, 10);
		else if (strcmp(name, "--pipeline") == 0)
			load->pipeline = strtoul(text, NULL, 10);
		else if (strcmp(name, "--calls") == 0)
			load->calls = strtoul(text, NULL, 10);
		else if (strcmp(name, "--rate") == 0)
			load->rate = strtod(text, NULL);
		else if (strcmp(name, "--redis") == 0)
			load->redis = strcmp(text, "yes") == 0;
		else
			peer_die("unknown option %s", name);
	}
	if (argc % 2 == 0 || load->socket == NULL || load->lines_path == NULL ||
		load->clients == 0 || load->pipeline == 0 || load->pipeline > PIPELINE_MAX ||
		load->calls == 0 || load->rate < 0.0)
		peer_die("usage: %s --socket PATH --lines FILE [--clients N] [--pipeline N up to "
			 "%d] [--calls N] [--rate R] [--redis yes]",
			argv[0], PIPELINE_MAX);
}

int main(int argc, char **argv)
{
	static struct load load;

	read_options(&load, argc, argv);
	peer_keys_read(&load.lines, load.lines_path);
	for (unsigned i = 0; i < load.pipeline; i++)
		load.id_lengths[i] =
			(size_t)snprintf(load.id_texts[i], ID_TEXT, "%hu,", (unsigned short)i);
	(void)prctl(PR_SET_TIMERSLACK, 1000UL);
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	load.all = calloc(load.clients, sizeof *load.all);
	if (load.epoll < 0 || load.all == NULL)
		peer_die("setting up: %s", strerror(errno));
	for (size_t i = 0; i < load.clients; i++)
		open_client(&load, &load.all[i]);
	run(&load);
	peer_times_print(&load.times, load.redis ? "redis" : "pierre-dbd");
	for (size_t i = 0; i < load.clients; i++) {
		(void)close(load.all[i].fd);
		free(load.all[i].in);
		free(load.all[i].out);
	}
	free(load.all);
	if (load.errors > 0)
		peer_die("%zu of %zu calls failed", load.errors, load.calls);
	return 0;
}
