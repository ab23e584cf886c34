/* The handle: its connection and its unfinished calls. Internal to the library.
 *
 * A call is in exactly one of two lists: `queued`, of which nothing or only a part has been written
 * (only the first can be partly written), or `sent`, which waits for its answer. Both are in the
 * order in which the calls were made. All are in the table by number as well. Thread: the handle's.
 */
#ifndef PIERRE_CLIENT_HANDLE_H
#define PIERRE_CLIENT_HANDLE_H

#include <sys/un.h>

#include "arena.h"
#include "call_table.h"
#include "list.h"
#include "stub.h"
#include "../protocol/json/json.h"
#include "../protocol/wire/frame.h"

enum { SOCKET_PATH_SIZE = sizeof(((struct sockaddr_un *)0)->sun_path) };

struct pierre {
	char path[SOCKET_PATH_SIZE]; /* "" : the default socket, looked up at each attempt */
	bool path_too_long;
	unsigned connect_ms, call_ms;
	size_t request_limit, answer_limit;

	int fd;            /* -1: no connection */
	bool write_failed; /* the peer takes no more; what it wrote before that is still to be read
	                    */
	struct frame frame;
	int64_t next_attempt; /* no connection is tried before that time */
	unsigned pause_ms;    /* between attempts; grows */
	uint64_t random;
	struct pierre_error last_error; /* why the last attempt failed */

	struct list queued, sent;
	struct call_table table;
	int64_t last_number;
	int64_t earliest; /* no call's deadline lies before that time */

	struct json json; /* the answer being handled */
	struct arena scratch;
	unsigned in_callback;
	bool freed; /* pierre_free was called in a callback */
};

struct pierre_answer {
	const struct stub_method *method;
	const struct json *json; /* NULL: the call failed with *error */
	uint32_t result;
	const struct pierre_error *error;
};

/* One iteration: time limits, connecting, writing, and reading when there may be something. */
void handle_iterate(struct pierre *db, bool readable);
/* Sleeps until there is something to do, at most that long (-1: no limit), and does it. */
void handle_wait(struct pierre *db, int limit_ms);
/* Ends a library call: frees the handle when a callback asked for that. */
void handle_leave(struct pierre *db);

#endif
