/* libpierre-db: the client of pierre-dbd.
 *
 *     struct pierre *db = pierre_new(NULL);
 *     struct pierre_user *user = NULL;
 *     struct pierre_error error;
 *
 *     if (pierre_get_user_by_email(db, "ana@example.com", &user, &error) != 0)
 *             fprintf(stderr, "%s\n", error.message);
 *     pierre_user_free(user);
 *     pierre_free(db);
 *
 * Each method of the daemon is one typed call (pierre-db-calls.h) in three forms: blocking;
 * `…_async`, which only queues it; and `…_result`, which takes the result out of a finished one.
 * Methods that this library does not know yet are called by name with pierre_call().
 *
 * Threads: a handle belongs to one thread at a time; give each thread its own handle, or lock
 * around every use. Two handles share nothing, and the library has no global state. A handle is not
 * to be used in a child after fork().
 *
 * Memory: texts and structs that a function is given are copied, and need not outlive it. Every
 * result is one block, whatever it points to, and is freed by the one function that its type has;
 * that wipes it first, since it may hold secrets. Texts are UTF-8 without U+0000. Results are set
 * only when the call succeeded.
 *
 * Calls are made over one connection, which is opened by the first of them and again whenever it
 * broke, with growing, jittered pauses. A write of which it is not known whether the daemon carried
 * it out is never sent twice; it fails with the outcome PIERRE_OUTCOME_UNKNOWN. A read is sent
 * again once. The calls of one handle take effect in the order in which they were made.
 *
 * The library prints nothing, raises no signal (SIGPIPE), and never ends the program. */
#ifndef PIERRE_DB_H
#define PIERRE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PIERRE_API __attribute__((visibility("default")))

/* A connection to the daemon with its unfinished calls. */
struct pierre;
/* A finished call, inside its callback. */
struct pierre_answer;

/* What every function returns that can fail: 0, or one of these. The daemon's own kinds are its
 * JSON-RPC codes (enum pierre_daemon_kind in pierre-db-calls.h): PIERRE_NOT_FOUND, PIERRE_CONFLICT,
 * PIERRE_INVALID_PARAMS, … Arguments that the library itself refuses before anything is sent are
 * PIERRE_INVALID_PARAMS as well. */
enum pierre_kind {
	PIERRE_OK = 0,
	PIERRE_NO_CONNECTION = -1, /* no daemon answers at the socket; nothing was sent */
	PIERRE_BROKEN = -2,        /* the connection broke before the answer came */
	PIERRE_NO_ANSWER = -3,     /* the call's time ran out */
	PIERRE_BAD_ANSWER = -4, /* what came back is not an answer that the library understands */
	PIERRE_NO_MEMORY = -5,
	PIERRE_MISUSE = -6, /* a blocking call in a callback; another method's `…_result`; a handle
	                       being freed */
	PIERRE_OTHER_ERROR =
		-7, /* the daemon answered an error of a code that the library does not know */
};

/* What a failed write may have done. */
enum pierre_outcome {
	PIERRE_OUTCOME_NONE = 0,    /* nothing was changed */
	PIERRE_OUTCOME_UNKNOWN = 1, /* it may or may not have been carried out */
};

enum { PIERRE_MESSAGE_SIZE = 320, PIERRE_PATH_SIZE = 160, PIERRE_FIELD_SIZE = 32 };

/* Why a call failed. Lives where the caller puts it; needs no freeing; is written only on failure.
 * NULL may be given instead. */
struct pierre_error {
	int kind;       /* what the function gave back */
	int code;       /* the daemon's JSON-RPC code; 0 for the library's own errors */
	int outcome;    /* enum pierre_outcome */
	bool retryable; /* the same call may succeed a moment later */
	uint64_t ref;   /* PIERRE_INTERNAL: the number under which the daemon logged it; else 0 */
	char message[PIERRE_MESSAGE_SIZE]; /* in words; holds no secret */
	char path[PIERRE_PATH_SIZE]; /* PIERRE_INVALID_PARAMS: which parameter, such as user.email;
	                                else "" */
	char field[PIERRE_FIELD_SIZE]; /* PIERRE_CONFLICT: which unique value is taken, such as
	                                  email; else "" */
};

/* A name and how often: an entry of tool_usage and its like, ordered by the name's bytes. */
struct pierre_count {
	const char *name;
	int64_t count;
};

/* Handle
 * --------------------------------------------------------------------------------------------------------
 */

/* socket: the daemon's socket; NULL: $PIERRE_DBD_SOCKET, else $RUNTIME_DIRECTORY/pierre-dbd.sock,
 * else $XDG_RUNTIME_DIR/pierre-dbd.sock, else /tmp/pierre-dbd-<uid>/pierre-dbd.sock. Does not
 * connect yet. NULL when out of memory. */
PIERRE_API struct pierre *pierre_new(const char *socket);

/* Closes and frees it; NULL is fine. Unfinished calls are forgotten: their callbacks are not
 * called. Inside a callback it takes effect when the outermost library call returns; the handle is
 * not to be used any more from then on. */
PIERRE_API void pierre_free(struct pierre *db);

/* connect_ms: how long a call waits for a connection, with further attempts in that time (default
 * 2000; 0: one attempt). call_ms: how long a call may take in all (default 35000, a little more
 * than the daemon itself allows); 0: no limit. Both count for calls made from now on. */
PIERRE_API void pierre_set_timeouts(struct pierre *db, unsigned connect_ms, unsigned call_ms);

/* The longest line sent (default 1 MiB, as the daemon's own) and taken (default 17 MiB, a little
 * more than the daemon's), in bytes; for daemons with other limits. 0 leaves one as it is. */
PIERRE_API void pierre_set_limits(struct pierre *db, size_t request, size_t answer);

/* Where pierre_new(NULL) looks, whether or not anything is there. Fails with PIERRE_NO_CONNECTION
 * when the folder in /tmp is not the caller's own, or the path is too long for a socket. */
PIERRE_API int pierre_default_socket(char *path, size_t size, struct pierre_error *error);

/* Calls by name
 * -------------------------------------------------------------------------------------------------
 */

/* params: JSON text of an object or an array, or NULL. *result: the result as JSON text, exactly as
 * the daemon wrote it; to be freed with pierre_text_free. Methods that the library does not know
 * count as writes. */
PIERRE_API int pierre_call(struct pierre *db, const char *method, const char *params, char **result,
	struct pierre_error *error);

/* Frees any text that a call gave; NULL is fine. */
PIERRE_API void pierre_text_free(char *text);

/* Calls under way
 * -----------------------------------------------------------------------------------------------
 */

/* Called once for each queued call that finished, from within pierre_process, pierre_wait or a
 * blocking call. It may queue further calls and cancel others, and takes the result with the
 * method's `…_result`, or pierre_answer_json; the answer is gone when it returns. */
typedef void pierre_done(struct pierre *db, const struct pierre_answer *answer, void *userdata);

/* Queues a call; gives its number (above 0), or an error's kind (below 0), in which case done is
 * not called. params as in pierre_call. done may be NULL when nobody wants to know. */
PIERRE_API int64_t pierre_call_async(struct pierre *db, const char *method, const char *params,
	pierre_done *done, void *userdata, struct pierre_error *error);

/* Forgets a call: its callback is not called, and its answer is dropped when it comes. The daemon
 * may still carry it out. false when there is no unfinished call of that number. */
PIERRE_API bool pierre_cancel(struct pierre *db, int64_t call);

/* The result of any method as JSON text (see pierre_call), or the error that the call ended with.
 */
PIERRE_API int pierre_answer_json(
	const struct pierre_answer *answer, char **result, struct pierre_error *error);

/* How many calls are unfinished. */
PIERRE_API size_t pierre_pending(const struct pierre *db);

/* Works until no call is unfinished (gives 0) or the time is over (gives PIERRE_NO_ANSWER; the
 * calls go on). -1: no limit of its own. */
PIERRE_API int pierre_wait(struct pierre *db, int timeout_ms);

/* A foreign event loop
 * ------------------------------------------------------------------------------------------ *
 *
 * Before the loop sleeps: watch pierre_fd() for pierre_events(), and sleep no longer than
 * pierre_timeout_ms(). When the fd is ready, or the time is over: pierre_process(). All three can
 * change with every call made and every pierre_process().
 *
 * The fd is the library's: it is not to be read, written or closed. A new connection may have the
 * number of the last one. pierre_process() never changes one for the other without giving -1 in
 * between, but blocking calls and pierre_wait() may: a loop that registers its fds (epoll)
 * registers this one anew after -1 and after those. */

enum pierre_event { PIERRE_EVENT_READ = 1, PIERRE_EVENT_WRITE = 2 };

/* -1 while there is no connection: then only the time counts. */
PIERRE_API int pierre_fd(const struct pierre *db);
/* enum pierre_event, or'ed. */
PIERRE_API unsigned pierre_events(const struct pierre *db);
/* -1: nothing is waiting for time to pass; 0: call pierre_process at once. */
PIERRE_API int pierre_timeout_ms(const struct pierre *db);
/* Does what can be done without waiting, and calls back what finished. Never blocks. Does nothing
 * inside a callback. */
PIERRE_API void pierre_process(struct pierre *db);

/* Times
 * ---------------------------------------------------------------------------------------------------------
 * *
 *
 * A time is an int64_t: microseconds since 1970-01-01T00:00:00Z, which is exactly what the daemon
 * keeps, compares and sorts as it should, and needs no freeing. The years 0000 to 9999 are valid.
 */

enum { PIERRE_TIME_SIZE = 28 };

/* Now, by the machine's clock. */
PIERRE_API int64_t pierre_time_now(void);
/* `2025-06-19T15:44:49.123456Z`, with NUL; false (and an empty text) outside the valid years. */
PIERRE_API bool pierre_time_format(int64_t time, char text[PIERRE_TIME_SIZE]);
/* RFC 3339 with any offset; digits beyond microseconds are cut. false when it is none; *time then
 * stays as it was. */
PIERRE_API bool pierre_time_parse(const char *text, int64_t *time);

/* Names
 * ---------------------------------------------------------------------------------------------------------
 */

/* `not_found`, `broken`, …: an error's kind as a word. Never NULL. */
PIERRE_API const char *pierre_kind_name(int kind);
/* The library's version. */
PIERRE_API const char *pierre_version(void);

#ifdef __cplusplus
}
#endif

#include "pierre-db-calls.h"

#endif
