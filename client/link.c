/* The connection: opened when calls wait, never blocks, closed on failure. */
#include "link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "failure.h"
#include "handle.h"
#include "pending_call.h"
#include "value.h"

enum {
	PAUSE_FIRST_MS = 10,
	PAUSE_LAST_MS = 1000,
	WRITE_LINES = 64,                 /* lines in one write */
	READ_PER_ITERATION = 1024 * 1024, /* maximum bytes read in one iteration, so that the
	                                     application's loop can run */
};

/* xorshift64* is sufficient for jitter. */
static unsigned random_below(struct pierre *db, unsigned limit)
{
	db->random ^= db->random >> 12;
	db->random ^= db->random << 25;
	db->random ^= db->random >> 27;
	return limit == 0 ? 0
			  : (unsigned)((db->random * UINT64_C(2685821657736338717)) >> 33) % limit;
}

/* Schedules the next attempt after 50 to 100 % of a pause that doubles, so that many clients do not
 * reconnect at the same time. */
static void pause_attempts(struct pierre *db, int64_t now)
{
	db->pause_ms = db->pause_ms == 0 ? PAUSE_FIRST_MS : db->pause_ms * 2;
	if (db->pause_ms > PAUSE_LAST_MS)
		db->pause_ms = PAUSE_LAST_MS;
	db->next_attempt = now + db->pause_ms / 2 + random_below(db, db->pause_ms / 2 + 1);
}

static const char *advice(int code)
{
	switch (code) {
	case ENOENT:
	case ECONNREFUSED:
		return " (is pierre-dbd running?)";
	case EACCES:
		return " (may this user use the socket?)";
	case EAGAIN:
		return " (the daemon is not accepting connections)";
	default:
		return "";
	}
}

static int open_socket(struct pierre *db)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, failed;

	if (db->path_too_long)
		return failure_set(&db->last_error, PIERRE_NO_CONNECTION,
			"the socket path is too long: the maximum is %d bytes",
			SOCKET_PATH_SIZE - 1);
	if (db->path[0] != '\0')
		memcpy(address.sun_path, db->path, sizeof db->path);
	else if (pierre_default_socket(
			 address.sun_path, sizeof address.sun_path, &db->last_error) != 0)
		return db->last_error.kind;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return failure_set(&db->last_error, PIERRE_NO_CONNECTION,
			"cannot create a socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
		db->fd = fd;
		return 0;
	}
	failed = errno;
	(void)close(fd);
	return failure_set(&db->last_error, PIERRE_NO_CONNECTION, "%s: %s%s", address.sun_path,
		strerror(failed), advice(failed));
}

void link_connect(struct pierre *db, int64_t now)
{
	if (now >= db->next_attempt) {
		if (open_socket(db) == 0) {
			frame_init(&db->frame, db->answer_limit);
			db->write_failed = false;
			return;
		}
		pause_attempts(db, now);
	}
	pending_call_expire_unconnected(db, now);
}

void link_close(struct pierre *db)
{
	if (db->fd < 0)
		return;
	(void)close(db->fd);
	db->fd = -1;
	frame_free(&db->frame);
}

void link_broken(struct pierre *db, int kind, bool again, const char *what)
{
	struct pierre_error error;
	struct list failed, repeated;

	int64_t now = clock_ms();

	link_close(db);
	pause_attempts(db, now);
	(void)failure_set(&error, kind, "%s", what);
	db->last_error = error;
	list_init(&failed);
	list_init(&repeated);
	if (!list_empty(&db->queued)) {
		struct pending_call *first =
			list_entry(list_first(&db->queued), struct pending_call, link);

		if (pending_call_may_have_arrived(first)) {
			list_remove(&first->link);
			list_append(&db->sent, &first->link);
		}
		first->written = 0;
		if (first->refused)
			pending_call_drop(db, first);
	}
	list_for_each_safe (node, &db->sent) {
		struct pending_call *call = list_entry(node, struct pending_call, link);
		bool repeat = again && (call->repeatable || (!call->write && !call->sent_before));

		call->doubtful = call->doubtful || call->repeatable;
		call->written = 0;
		call->sent_before = true;
		list_remove(node);
		list_append(repeat ? &repeated : &failed, node);
	}
	list_splice_front(&db->queued, &repeated);
	list_for_each (waiting, &db->queued)
		pending_call_wait(db, list_entry(waiting, struct pending_call, link), now);
	pending_call_fail_all(db, &failed, &error, true);
}

static size_t link_gather(struct pierre *db, struct iovec *parts)
{
	size_t count = 0;

	for (struct list *node = db->queued.next; node != &db->queued && count < WRITE_LINES;
		node = node->next) {
		struct pending_call *call = list_entry(node, struct pending_call, link);

		parts[count].iov_base = call->line + call->written;
		parts[count].iov_len = call->length - call->written;
		count++;
	}
	return count;
}

static void link_account(struct pierre *db, size_t written)
{
	while (written > 0) {
		struct pending_call *call =
			list_entry(list_first(&db->queued), struct pending_call, link);
		size_t left = call->length - call->written;

		if (written < left) {
			call->written += written;
			return;
		}
		call->written = call->length;
		written -= left;
		list_remove(&call->link);
		list_append(&db->sent, &call->link);
		if (call->refused)
			pending_call_drop(db, call);
	}
}

void link_write(struct pierre *db)
{
	while (!list_empty(&db->queued) && !db->write_failed) {
		struct iovec parts[WRITE_LINES];
		struct msghdr message = {.msg_iov = parts, .msg_iovlen = link_gather(db, parts)};
		ssize_t written = sendmsg(db->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (written > 0) {
			link_account(db, (size_t)written);
		} else if (written < 0 && errno == EINTR) {
			continue;
		} else {
			if (errno != EAGAIN)
				db->write_failed = true;
			return;
		}
	}
}

/* Handles all complete lines. Returns false when the connection is lost. */
static bool take_lines(struct pierre *db, link_take *take)
{
	for (;;) {
		const char *line;
		size_t length;

		switch (frame_next(&db->frame, &line, &length)) {
		case FRAME_MORE:
			frame_wipe_taken(&db->frame); /* a connection may be idle for hours */
			return true;
		case FRAME_TOO_LONG:
			link_broken(db, PIERRE_BAD_ANSWER, false,
				"the daemon sent a line longer than the library accepts");
			return false;
		case FRAME_LINE:
			if (!take(db, line, length) || db->freed || db->fd < 0)
				return false;
		}
	}
}

void link_read(struct pierre *db, link_take *take)
{
	size_t taken = 0;

	while (db->fd >= 0 && taken < READ_PER_ITERATION) {
		size_t size;
		char *space = frame_space(&db->frame, &size);
		ssize_t got;

		if (space == NULL) {
			link_broken(db, PIERRE_NO_MEMORY, false,
				"out of memory for data from the daemon");
			return;
		}
		got = recv(db->fd, space, size, MSG_DONTWAIT);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN && !db->write_failed)
			return;
		if (got <= 0) {
			link_broken(db, PIERRE_BROKEN, true, "the daemon closed the connection");
			return;
		}
		frame_commit(&db->frame, (size_t)got);
		taken += (size_t)got;
		if (!take_lines(db, take) || ((size_t)got < size && !db->write_failed))
			return;
	}
}
