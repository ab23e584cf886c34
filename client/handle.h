/* The handle: its connection and its unfinished calls. Internal to the library.
 *
 * A call is in exactly one of three lists: `queued` until its line is completely written (only the
 * first call can be partly written), or `sent` until its answer arrives. Both are in call order.
 * `delayed` holds writes whose outcome is unknown until they are sent again. The table contains all
 * calls by number. Thread: the handle's. */
#ifndef PIERRE_CLIENT_HANDLE_H
#define PIERRE_CLIENT_HANDLE_H

#include <sys/un.h>

#include "arena.h"
#include "call_table.h"
#include "list.h"
#include "stub.h"
#include "../protocol/json/json.h"
#include "../protocol/wire/frame.h"

enum { KEY_PREFIX_SIZE = 33, KEY_SIZE = 65 };
enum { SOCKET_PATH_SIZE = sizeof(((struct sockaddr_un *)0)->sun_path) };

struct pierre {
	char path[SOCKET_PATH_SIZE]; /* "": the default socket, determined on each attempt */
	bool path_too_long;
	unsigned connect_ms, call_ms;
	size_t request_limit, answer_limit;

	int fd;            /* -1: no connection */
	bool write_failed; /* the peer reads no more; its earlier data can still be read */
	struct frame frame;
	int64_t next_attempt; /* no attempt to connect before that time */
	unsigned pause_ms;    /* between attempts; increases */
	uint64_t random;
	struct pierre_error last_error; /* why the last attempt failed */

	struct list queued, sent, delayed;
	struct call_table table;
	int64_t last_number;
	bool repeats;                     /* writes have keys of their own, and are repeated */
	char key_prefix[KEY_PREFIX_SIZE]; /* random; a call's number follows. "": no random bytes */
	char next_key[KEY_SIZE];          /* the caller's, for the next call; "": none */
	int64_t earliest;                 /* no call has an earlier deadline */

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

/* One iteration: checks time limits, connects, writes, and reads available data. */
void handle_iterate(struct pierre *db, bool readable);
/* Waits for an event, at most that long (-1: no limit), and handles it. */
void handle_wait(struct pierre *db, int limit_ms);
/* Ends a library call: frees the handle when a callback requested it. */
void handle_leave(struct pierre *db);

#endif
