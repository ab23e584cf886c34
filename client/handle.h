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
#include "../protocol/wire/frame.h"
#include "../protocol/json/json.h"
#include "list.h"
#include "stub.h"

/* Of the service that comes with the package; root alone makes its folder. */
#define SYSTEM_SOCKET "/run/pierre-dbd/pierre-dbd.sock"

enum { SOCKET_PATH_SIZE = sizeof(((struct sockaddr_un *)0)->sun_path) };

struct call {
	struct list link; /* in queued or sent */
	struct call *next_in_bucket;
	int64_t number;                   /* the request's id */
	const struct stub_method *method; /* NULL for one that the library does not know */
	bool write;                       /* may change something: never sent twice */
	bool sent_before;                 /* a read that is sent for the second time */
	bool refused; /* failed before all of its line was written: goes when the rest is */
	char *line;
	size_t length, written;
	int64_t deadline;         /* calls_clock_ms() at which it has failed; INT64_MAX: never */
	int64_t connect_deadline; /* the same, while there is no connection */
	pierre_done *done;
	void *userdata;
};

struct call_table {
	struct call **buckets;
	size_t size, count; /* size is a power of two, or 0 */
};

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

int64_t calls_clock_ms(void);

/* call_table.c */
bool call_table_add(struct call_table *table, struct call *call); /* false: out of memory */
struct call *call_table_find(const struct call_table *table, int64_t number);
void call_table_remove(struct call_table *table, struct call *call);
void call_table_free(struct call_table *table);

/* calls.c */
/* Takes the call out of everything, calls it back, frees it. */
void call_finish(struct pierre *db, struct call *call, const struct pierre_answer *answer);
void call_fail(struct pierre *db, struct call *call, const struct pierre_error *error);
/* The same for one whose line is partly written, of which the rest must follow. */
void call_refuse(struct pierre *db, struct call *call, const struct pierre_error *error);
/* The daemon may have read it, although its line may not be wholly written. */
bool call_may_have_arrived(const struct call *call);
/* Sets how long it waits for the next connection. */
void call_wait_for_connection(const struct pierre *db, struct call *call, int64_t now);
/* Frees a call without calling it back. */
void call_drop(struct pierre *db, struct call *call);
/* Fails those in the list; error->outcome of a write becomes unknown when `maybe_done`. Once a
 * callback has freed the handle, the rest are freed without being called back. */
void calls_fail_all(
	struct pierre *db, struct list *list, const struct pierre_error *error, bool maybe_done);
/* Fails those whose time is over. */
void calls_expire(struct pierre *db, int64_t now);
/* Fails the queued ones that have waited long enough for a connection. */
void calls_expire_unconnected(struct pierre *db, int64_t now);

/* link.c: the connection */
void link_connect(struct pierre *db, int64_t now);
void link_write(struct pierre *db);
void link_read(struct pierre *db);
void link_close(struct pierre *db);
/* The connection is unusable: closes it, lets what may be sent again wait for the next one, fails
 * the rest. again: reads may be sent again. */
void link_broken(struct pierre *db, int kind, bool again, const char *what);

/* answer.c: one line; false when it is not an answer (the connection is broken then). */
bool answer_take(struct pierre *db, const char *line, size_t length);

#endif
