/* The loop of a benchmark: each client keeps `pipeline` calls in flight. The calls that one read
 * completes are replaced in one write. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../output.h"
#include "bench_run.h"
#include "../ctl.h"
#include "../../../protocol/wire/rpc.h"
#include "value.h"

enum { EVENTS = 256, INPUT_FIRST = 64 * 1024, ID_TEXT = 8, KEY_TEXT = 64 };

struct client {
	int fd;
	char *in, *out;
	size_t in_length, in_size, out_start, out_length, out_size;
	uint64_t *sent; /* by id: time of sending; 0: not in flight */
	uint16_t *idle; /* ids that are not in flight */
	size_t idle_count;
	bool waits_to_write;
};

struct bench {
	const struct bench_options *options;
	const struct bench_work *work;
	struct bench_result *result;
	struct client *clients;
	int epoll;
	uint64_t begun, started, end, random, number;
	size_t *next_lines; /* of each group, when cyclic */
	char (*ids)[ID_TEXT];
	uint8_t *id_lengths;
};

static uint64_t next_random(struct bench *bench)
{
	bench->random ^= bench->random << 13;
	bench->random ^= bench->random >> 7;
	bench->random ^= bench->random << 17;
	return bench->random >> 11;
}

static const struct bench_line *choose_line(struct bench *bench)
{
	const struct bench_work *work = bench->work;
	uint64_t at = work->count > 1 ? next_random(bench) % work->weights : 0;
	size_t group = 0;

	while (at >= work->groups[group].weight)
		at -= work->groups[group++].weight;
	if (work->groups[group].count == 1)
		return &work->groups[group].lines[0];
	return &work->groups[group].lines[bench->options->cyclic
			? bench->next_lines[group]++ % work->groups[group].count
			: next_random(bench) % work->groups[group].count];
}

static bool reserve(char **data, size_t *size, size_t wanted)
{
	char *larger;

	if (wanted <= *size)
		return true;
	larger = realloc(*data, wanted * 2);
	if (larger == NULL)
		return false;
	*data = larger;
	*size = wanted * 2;
	return true;
}

static char *bench_run_put(char *at, const void *bytes, size_t length)
{
	memcpy(at, bytes, length);
	return at + length;
}

static char *put_line(struct bench *bench, char *at, const struct bench_line *line)
{
	uint32_t from = 0;
	char number[24];
	int digits;

	if (line->mark_count == 0)
		return bench_run_put(at, line->text, line->length);
	digits = snprintf(number, sizeof number, "%llu", (unsigned long long)bench->number++);
	for (uint32_t i = 0; i < line->mark_count; i++) {
		at = bench_run_put(at, line->text + from, line->marks[i] - from);
		at = bench_run_put(at, number, (size_t)digits);
		from = line->marks[i];
	}
	return bench_run_put(at, line->text + from, line->length - from);
}

static char *put_key(struct bench *bench, char *at)
{
	char text[KEY_TEXT];
	int length;

	if (!bench->options->keys)
		return at;
	length = snprintf(text, sizeof text, ",\"idempotency_key\":\"bench-%llu\"",
		(unsigned long long)bench->number++);
	return bench_run_put(at, text, (size_t)length);
}

static bool bench_run_begin_call(struct bench *bench, struct client *client, uint64_t now)
{
	static const char head[] = RPC_HEAD;
	const struct bench_line *line = choose_line(bench);
	uint16_t id = client->idle[client->idle_count - 1];
	char *at;

	if (!reserve(&client->out, &client->out_size,
		    client->out_length + sizeof head + ID_TEXT + KEY_TEXT + line->length +
			    BENCH_MARKS * 24))
		return false;
	client->idle_count--;
	at = bench_run_put(client->out + client->out_length, head, sizeof head - 1);
	at = bench_run_put(at, bench->ids[id], bench->id_lengths[id]);
	at = put_key(bench, at);
	at = put_line(bench, at, line);
	client->out_length = (size_t)(at - client->out);
	client->sent[id] = now;
	bench->begun++;
	return true;
}

static int bench_run_write_out(struct bench *bench, struct client *client)
{
	bool blocked = false;

	while (client->out_start < client->out_length && !blocked) {
		ssize_t written = send(client->fd, client->out + client->out_start,
			client->out_length - client->out_start, MSG_NOSIGNAL);

		if (written > 0) {
			client->out_start += (size_t)written;
			bench->result->bytes_out += (uint64_t)written;
		} else if (errno == EAGAIN) {
			blocked = true;
		} else if (errno != EINTR) {
			return output_fail(
				EX_TEMPFAIL, "the daemon closed a connection: %s", strerror(errno));
		}
	}
	if (!blocked)
		client->out_start = client->out_length = 0;
	if (blocked != client->waits_to_write) {
		struct epoll_event event = {
			.events = EPOLLIN | (blocked ? EPOLLOUT : 0U), .data = {.ptr = client}};

		client->waits_to_write = blocked;
		if (epoll_ctl(bench->epoll, EPOLL_CTL_MOD, client->fd, &event) != 0)
			return output_fail(EX_OSERR, "epoll: %s", strerror(errno));
	}
	return 0;
}

static bool more_to_begin(const struct bench *bench, uint64_t now)
{
	return bench->options->seconds > 0 ? now < bench->end
					   : bench->begun < bench->options->calls;
}

static int fill(struct bench *bench, struct client *client, uint64_t now)
{
	while (client->idle_count > 0 && more_to_begin(bench, now))
		if (!bench_run_begin_call(bench, client, now))
			return output_fail(EX_OSERR, "out of memory");
	return bench_run_write_out(bench, client);
}

/* An answer of the daemon begins with its id; the rest is not parsed. */
static int take_answer(
	struct bench *bench, struct client *client, const char *line, size_t length, uint64_t now)
{
	static const char head[] = RPC_HEAD, result[] = RPC_RESULT;
	const char *at = line + sizeof head - 1, *end = line + length;
	uint64_t id = 0;

	if (length <= sizeof head || memcmp(line, head, sizeof head - 1) != 0 || *at < '0' ||
		*at > '9')
		return output_fail(EX_PROTOCOL, "not an answer: %.*s",
			(int)(length < 200 ? length : 200), line);
	for (; at < end && *at >= '0' && *at <= '9' && id <= BENCH_PIPELINE_MAX; at++)
		id = id * 10 + (uint64_t)(*at - '0');
	if (id >= bench->options->pipeline || client->sent[id] == 0)
		return output_fail(EX_PROTOCOL, "unexpected answer: %.*s",
			(int)(length < 200 ? length : 200), line);
	if ((size_t)(end - at) < sizeof result - 1 || memcmp(at, result, sizeof result - 1) != 0) {
		if (bench->result->errors++ == 0)
			(void)snprintf(bench->result->first_error,
				sizeof bench->result->first_error, "%.*s", (int)(end - at), at);
	}
	bench_latency_add(&bench->result->latency, now - client->sent[id]);
	client->sent[id] = 0;
	client->idle[client->idle_count++] = (uint16_t)id;
	return 0;
}

static int read_answers(struct bench *bench, struct client *client, uint64_t *now)
{
	char *line, *end, *newline;
	ssize_t got;

	if (!reserve(&client->in, &client->in_size, client->in_length + INPUT_FIRST / 2))
		return output_fail(EX_OSERR, "out of memory");
	got = recv(
		client->fd, client->in + client->in_length, client->in_size - client->in_length, 0);
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (got <= 0)
		return output_fail(EX_TEMPFAIL, "the daemon closed a connection");
	*now = clock_ns();
	bench->result->bytes_in += (uint64_t)got;
	line = client->in;
	end = client->in + client->in_length + got;
	while ((newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		int status = take_answer(bench, client, line, (size_t)(newline - line), *now);

		if (status != 0)
			return status;
		line = newline + 1;
	}
	client->in_length = (size_t)(end - line);
	memmove(client->in, line, client->in_length);
	return 0;
}

static int open_client(struct bench *bench, struct client *client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = client}};
	size_t pipeline = bench->options->pipeline;

	client->fd = -1;
	client->sent = calloc(pipeline, sizeof *client->sent);
	client->idle = calloc(pipeline, sizeof *client->idle);
	if (client->sent == NULL || client->idle == NULL ||
		!reserve(&client->in, &client->in_size, INPUT_FIRST / 2))
		return output_fail(EX_OSERR, "out of memory");
	for (size_t i = 0; i < pipeline; i++)
		client->idle[client->idle_count++] = (uint16_t)(pipeline - 1 - i);
	if (strlen(bench->options->path) >= sizeof address.sun_path)
		return output_fail(EX_USAGE, "%s: socket path too long", bench->options->path);
	memcpy(address.sun_path, bench->options->path, strlen(bench->options->path));
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0 ||
		connect(client->fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
		fcntl(client->fd, F_SETFL, O_NONBLOCK) != 0 ||
		epoll_ctl(bench->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
		return output_fail(EX_TEMPFAIL, "%s: %s", bench->options->path, strerror(errno));
	return 0;
}

static int bench_run_serve(struct bench *bench, const struct epoll_event *event)
{
	struct client *client = event->data.ptr;
	uint64_t now = 0;
	int status = 0;

	if ((event->events & ~(uint32_t)EPOLLOUT) != 0)
		status = read_answers(bench, client, &now);
	if (status == 0 && now == 0)
		return bench_run_write_out(bench, client);
	return status != 0 ? status : fill(bench, client, now);
}

static int loop(struct bench *bench)
{
	struct epoll_event events[EVENTS];
	int status = 0;

	bench->started = clock_ns();
	bench->end = bench->started + (uint64_t)(bench->options->seconds * 1e9);
	for (uint64_t i = 0; i < bench->options->clients && status == 0; i++)
		status = fill(bench, &bench->clients[i], clock_ns());
	while (status == 0 && bench->result->latency.count < bench->begun) {
		int count = epoll_wait(bench->epoll, events, EVENTS, (int)bench->options->stall_ms);

		if (count < 0 && errno != EINTR)
			status = output_fail(EX_OSERR, "epoll: %s", strerror(errno));
		if (count == 0)
			status = output_fail(
				EX_TEMPFAIL, "no answer within %u ms", bench->options->stall_ms);
		for (int i = 0; i < count && status == 0; i++)
			status = bench_run_serve(bench, &events[i]);
	}
	bench->result->seconds = (double)(clock_ns() - bench->started) / 1e9;
	return status;
}

static int bench_run_prepare(struct bench *bench)
{
	const struct bench_options *options = bench->options;
	struct rlimit files;
	int status = 0;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	bench->clients = calloc(options->clients, sizeof *bench->clients);
	bench->next_lines = calloc(bench->work->count, sizeof *bench->next_lines);
	bench->ids = calloc(options->pipeline, sizeof *bench->ids);
	bench->id_lengths = calloc(options->pipeline, sizeof *bench->id_lengths);
	bench->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (bench->clients == NULL || bench->next_lines == NULL || bench->ids == NULL ||
		bench->id_lengths == NULL || bench->epoll < 0)
		return output_fail(EX_OSERR, "out of memory");
	for (unsigned i = 0; i < options->pipeline; i++)
		bench->id_lengths[i] =
			(uint8_t)snprintf(bench->ids[i], ID_TEXT, "%hu", (unsigned short)i);
	for (uint64_t i = 0; i < options->clients; i++)
		bench->clients[i].fd = -1;
	for (uint64_t i = 0; i < options->clients && status == 0; i++)
		status = open_client(bench, &bench->clients[i]);
	return status;
}

static void bench_run_release(struct bench *bench)
{
	for (uint64_t i = 0; bench->clients != NULL && i < bench->options->clients; i++) {
		struct client *client = &bench->clients[i];

		if (client->fd >= 0)
			(void)close(client->fd);
		free(client->in);
		free(client->out);
		free(client->sent);
		free(client->idle);
	}
	if (bench->epoll >= 0)
		(void)close(bench->epoll);
	free(bench->clients);
	free(bench->next_lines);
	free(bench->ids);
	free(bench->id_lengths);
}

int bench_run(const struct bench_options *options, const struct bench_work *work,
	struct bench_result *result)
{
	struct bench bench = {.options = options, .work = work, .result = result, .epoll = -1};
	int status;

	bench.random = clock_ns() | 1;
	bench.number = (uint64_t)pierre_time_now(); /* so that numbers differ between runs */
	status = bench_run_prepare(&bench);
	if (status == 0)
		status = loop(&bench);
	bench_run_release(&bench);
	return status;
}
