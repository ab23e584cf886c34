#include "fake.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE = 2000, SHORT = 10, TURN_MS = 5 }; /* turns */

void fake_listen(struct fake *fake)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", fake->path);
	fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(fake->listener, 0);
	ck_assert_int_eq(
		bind(fake->listener, (const struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(fake->listener, 16), 0);
}

void fake_stop_listening(struct fake *fake)
{
	if (fake->listener >= 0)
		(void)close(fake->listener);
	fake->listener = -1;
	(void)unlink(fake->path);
}

void fake_open(struct fake *fake)
{
	*fake = (struct fake){.listener = -1, .peer = -1, .folder = "/tmp/pierre-client-XXXXXX"};
	ck_assert_ptr_nonnull(mkdtemp(fake->folder));
	(void)snprintf(fake->path, sizeof fake->path, "%s/s", fake->folder);
	fake_listen(fake);
	fake->db = pierre_new(fake->path);
	ck_assert_ptr_nonnull(fake->db);
}

void fake_hang_up(struct fake *fake)
{
	if (fake->peer >= 0)
		(void)close(fake->peer);
	fake->peer = -1;
	fake->length = 0;
}

void fake_close(struct fake *fake)
{
	pierre_free(fake->db);
	fake_hang_up(fake);
	fake_stop_listening(fake);
	(void)rmdir(fake->folder);
	free(fake->in);
}

void drive(struct fake *fake, int turns)
{
	for (int i = 0; i < turns && fake->db != NULL; i++) {
		unsigned events = pierre_events(fake->db);
		struct pollfd watched = {.fd = pierre_fd(fake->db)};
		int ms = pierre_timeout_ms(fake->db);

		watched.events = (short)(((events & PIERRE_EVENT_READ) != 0 ? POLLIN : 0) |
			((events & PIERRE_EVENT_WRITE) != 0 ? POLLOUT : 0));
		(void)poll(&watched, 1, ms < 0 || ms > TURN_MS ? TURN_MS : ms);
		pierre_process(fake->db);
	}
	if (fake->db == NULL)
		(void)poll(NULL, 0, TURN_MS * turns);
}

void drive_until(struct fake *fake, const struct ended *ended)
{
	for (int i = 0; i < PATIENCE && ended->times == 0; i++)
		drive(fake, 1);
	ck_assert_int_eq(ended->times, 1);
}

void fake_accept(struct fake *fake)
{
	fake_hang_up(fake);
	for (int i = 0; i < PATIENCE && fake->peer < 0; i++) {
		fake->peer = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fake->peer < 0)
			drive(fake, 1);
	}
	ck_assert_msg(fake->peer >= 0, "the library did not connect");
}

/* false: the peer has disconnected, or nothing arrives. */
static bool receive(struct fake *fake)
{
	ssize_t got;

	if (fake->size - fake->length < 65536) {
		fake->size = fake->size * 2 + 131072;
		fake->in = realloc(fake->in, fake->size);
		ck_assert_ptr_nonnull(fake->in);
	}
	got = recv(fake->peer, fake->in + fake->length, fake->size - fake->length - 1, 0);
	if (got > 0)
		fake->length += (size_t)got;
	return got > 0;
}

/* Removes one line from the front of the received data, and moves the rest to the front. */
static char *cut_line(struct fake *fake)
{
	static char line[2 * 1024 * 1024];
	char *newline = fake->length > 0 ? memchr(fake->in, '\n', fake->length) : NULL;
	size_t length;

	if (newline == NULL)
		return NULL;
	length = (size_t)(newline - fake->in);
	ck_assert_uint_lt(length, sizeof line);
	memcpy(line, fake->in, length);
	line[length] = '\0';
	fake->length -= length + 1;
	memmove(fake->in, newline + 1, fake->length);
	return line;
}

static char *wait_for_line(struct fake *fake, int turns)
{
	for (int i = 0; i < turns; i++) {
		char *line = cut_line(fake);

		if (line != NULL)
			return line;
		if (!receive(fake))
			drive(fake, 1);
	}
	return NULL;
}

const char *fake_line(struct fake *fake)
{
	char *line = wait_for_line(fake, PATIENCE);

	ck_assert_msg(line != NULL, "the library sent nothing");
	return line;
}

bool fake_has_line(struct fake *fake)
{
	return wait_for_line(fake, SHORT) != NULL;
}

void fake_send(struct fake *fake, const char *text)
{
	size_t length = strlen(text);

	while (length > 0) {
		ssize_t sent = send(fake->peer, text, length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EAGAIN) {
			drive(fake, 1);
			continue;
		}
		if (sent < 0)
			return; /* the library disconnected, as some tests intend */
		text += sent;
		length -= (size_t)sent;
	}
}

long long fake_id(const char *line)
{
	static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":";

	ck_assert_int_eq(strncmp(line, head, sizeof head - 1), 0);
	return strtoll(line + sizeof head - 1, NULL, 10);
}

static void answer_with(struct fake *fake, const char *line, const char *member, const char *json)
{
	char head[96];

	(void)snprintf(head, sizeof head, "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"%s\":", fake_id(line),
		member);
	fake_send(fake, head);
	fake_send(fake, json);
	fake_send(fake, "}\n");
}

void fake_answer(struct fake *fake, const char *line, const char *result)
{
	answer_with(fake, line, "result", result);
}

void fake_answer_error(struct fake *fake, const char *line, const char *error)
{
	answer_with(fake, line, "error", error);
}

void note_end(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	struct ended *ended = userdata;

	(void)db;
	ended->times++;
	ended->status = pierre_answer_json(answer, &ended->json, &ended->error);
}

void ended_free(struct ended *ended)
{
	pierre_text_free(ended->json);
	*ended = (struct ended){0};
}

void begin(struct fake *fake, const char *method, const char *params, struct ended *ended)
{
	struct pierre_error error;
	int64_t number = pierre_call_async(fake->db, method, params, note_end, ended, &error);

	ck_assert_msg(number > 0, "%s", number > 0 ? "" : error.message);
}
