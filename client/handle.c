/* The handle: creation, iterations and release. */
#include "handle.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "answer.h"
#include "calls.h"
#include "failure.h"
#include "link.h"
#include "pending_call.h"
#include "value.h"

enum {
	CONNECT_MS = 2000,
	CALL_MS = 35000,
	REQUEST_LIMIT = 1024 * 1024,
	ANSWER_LIMIT = 17 * 1024 * 1024
};

/* 128 random bits: the keys of two handles never meet. Without them calls get no keys. */
static void make_key_prefix(struct pierre *db)
{
	unsigned char bytes[(KEY_PREFIX_SIZE - 1) / 2];

	db->repeats = getrandom(bytes, sizeof bytes, GRND_NONBLOCK) == (ssize_t)sizeof bytes;
	for (size_t i = 0; db->repeats && i < sizeof bytes; i++)
		(void)snprintf(db->key_prefix + 2 * i, 3, "%02x", bytes[i]);
}

struct pierre *pierre_new(const char *socket)
{
	struct pierre *db = calloc(1, sizeof *db);

	if (db == NULL)
		return NULL;
	db->fd = -1;
	db->connect_ms = CONNECT_MS;
	db->call_ms = CALL_MS;
	db->request_limit = REQUEST_LIMIT;
	db->answer_limit = ANSWER_LIMIT;
	db->earliest = INT64_MAX;
	list_init(&db->queued);
	list_init(&db->sent);
	list_init(&db->delayed);
	make_key_prefix(db);
	arena_init(&db->scratch);
	if (socket != NULL && strlen(socket) >= sizeof db->path)
		db->path_too_long = true;
	else if (socket != NULL)
		memcpy(db->path, socket, strlen(socket));
	if (getrandom(&db->random, sizeof db->random, GRND_NONBLOCK) !=
			(ssize_t)sizeof db->random ||
		db->random == 0)
		db->random = (uint64_t)clock_ms() ^ (uint64_t)(uintptr_t)db ^ 1;
	return db;
}

static void drop_all(struct pierre *db, struct list *list)
{
	while (!list_empty(list))
		pending_call_drop(db, list_entry(list_first(list), struct pending_call, link));
}

static void handle_destroy(struct pierre *db)
{
	link_close(db);
	drop_all(db, &db->queued);
	drop_all(db, &db->sent);
	drop_all(db, &db->delayed);
	call_table_free(&db->table);
	json_scan_free(&db->json);
	arena_free(&db->scratch);
	free(db);
}

void pierre_free(struct pierre *db)
{
	if (db == NULL)
		return;
	if (db->in_callback > 0)
		db->freed = true; /* handle_leave() frees it */
	else
		handle_destroy(db);
}

void handle_leave(struct pierre *db)
{
	if (db->freed && db->in_callback == 0)
		handle_destroy(db);
}

void pierre_set_timeouts(struct pierre *db, unsigned connect_ms, unsigned call_ms)
{
	db->connect_ms = connect_ms;
	db->call_ms = call_ms;
}

void pierre_set_limits(struct pierre *db, size_t request, size_t answer)
{
	if (request != 0)
		db->request_limit = request;
	if (answer != 0) {
		db->answer_limit = answer;
		db->frame.limit = answer;
	}
}

void pierre_set_repeats(struct pierre *db, bool repeats)
{
	db->repeats = repeats && db->key_prefix[0] != '\0';
}

int pierre_set_key(struct pierre *db, const char *key, struct pierre_error *error)
{
	size_t length = key != NULL ? strlen(key) : 0;

	if (length == 0 || length >= sizeof db->next_key || !utf8_valid(key, length))
		return failure_param(
			error, "", "an idempotency key is a text of 1 to %d bytes", KEY_SIZE - 1);
	memcpy(db->next_key, key, length + 1);
	return 0;
}

void handle_iterate(struct pierre *db, bool readable)
{
	int64_t now = clock_ms();

	calls_expire(db, now);
	calls_resume(db, now);
	if (db->fd < 0 && !list_empty(&db->queued) && !db->freed)
		link_connect(db, now);
	if (db->freed)
		return; /* waiting calls are dropped, not sent */
	if (db->fd >= 0)
		link_write(db);
	if (db->fd >= 0 && (readable || db->write_failed))
		link_read(db, answer_take);
}

void pierre_process(struct pierre *db)
{
	if (db->in_callback > 0)
		return; /* the current iteration continues by itself */
	handle_iterate(db, true);
	handle_leave(db);
}

int pierre_fd(const struct pierre *db)
{
	return db->fd;
}

unsigned pierre_events(const struct pierre *db)
{
	if (db->fd < 0)
		return 0;
	return PIERRE_EVENT_READ |
		(list_empty(&db->queued) || db->write_failed ? 0U : (unsigned)PIERRE_EVENT_WRITE);
}

int pierre_timeout_ms(const struct pierre *db)
{
	int64_t when = db->table.count == 0 ? INT64_MAX : db->earliest, left;

	if (db->fd < 0 && !list_empty(&db->queued)) {
		if (db->next_attempt < when)
			when = db->next_attempt;
		for (const struct list *node = db->queued.next; node != &db->queued;
			node = node->next) {
			const struct pending_call *call =
				list_entry(node, const struct pending_call, link);

			if (call->connect_deadline < when)
				when = call->connect_deadline;
		}
	}
	for (const struct list *node = db->delayed.next; node != &db->delayed; node = node->next) {
		const struct pending_call *call = list_entry(node, const struct pending_call, link);

		if (call->not_before < when)
			when = call->not_before;
	}
	if (when == INT64_MAX)
		return -1;
	left = when - clock_ms();
	return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

void handle_wait(struct pierre *db, int limit_ms)
{
	unsigned events = pierre_events(db);
	struct pollfd watched = {.fd = db->fd};
	int ms = pierre_timeout_ms(db);

	watched.events = (short)(((events & PIERRE_EVENT_READ) != 0 ? POLLIN : 0) |
		((events & PIERRE_EVENT_WRITE) != 0 ? POLLOUT : 0));
	if (limit_ms >= 0 && (ms < 0 || limit_ms < ms))
		ms = limit_ms;
	/* A negative fd is ignored. After a signal an extra iteration is harmless. */
	(void)poll(&watched, 1, ms);
	handle_iterate(db, (watched.revents & ~POLLOUT) != 0);
}

int pierre_wait(struct pierre *db, int timeout_ms)
{
	int64_t end = timeout_ms < 0 ? INT64_MAX : clock_ms() + timeout_ms;

	if (db->in_callback > 0)
		return PIERRE_MISUSE;
	if (db->table.count > 0)
		handle_iterate(db, false);
	while (!db->freed && db->table.count > 0) {
		int64_t left = end == INT64_MAX ? -1 : end - clock_ms();

		if (end != INT64_MAX && left <= 0)
			return PIERRE_NO_ANSWER;
		handle_wait(db, left > INT_MAX ? INT_MAX : (int)left);
	}
	handle_leave(db);
	return 0;
}
