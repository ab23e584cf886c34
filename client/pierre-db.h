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
 * Each method of the daemon has a typed call (pierre-db-calls.h) in three forms: blocking;
 * `…_async`, which queues the call; and `…_result`, which returns the result of a finished call.
 * Methods unknown to this library are called by name with pierre_call().
 *
 * Threads: a handle belongs to one thread at a time; give each thread its own handle, or lock
 * around every use. Handles share nothing, and the library has no global state. Do not use a handle
 * in a child process after fork().
 *
 * Memory: arguments are copied and need not outlive the function. Every result is one block,
 * including the data it points to, and is freed by the function for its type. That function wipes
 * it first, since it may contain secrets. Texts are UTF-8 without U+0000. Results are set only on
 * success.
 *
 * A handle uses one connection. The first call opens it. A broken connection is reopened with
 * increasing, jittered pauses. A read is retried once. The calls of one handle take effect in call
 * order.
 *
 * A write of the database carries an idempotency key of its own. When its outcome is unknown, it is
 * sent again with that key until the call's time limit, and the daemon carries it out once. It
 * fails with PIERRE_OUTCOME_UNKNOWN only when no daemon could be reached in that time. A repeated
 * write may take effect after later calls that were answered meanwhile. Other calls that change
 * something (migrate, rotate_key, the methods of the daemon itself, and methods unknown to this
 * library) are not repeated. pierre_set_repeats() turns this off.
 *
 * The library prints nothing, raises no signal (SIGPIPE), and never exits the program. */
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
/* A finished call, inside its callback or within a transaction. */
struct pierre_answer;

/* Return values of functions that can fail: 0, or one of these. The daemon's kinds are its JSON-RPC
 * codes (enum pierre_daemon_kind in pierre-db-calls.h): PIERRE_NOT_FOUND, PIERRE_CONFLICT,
 * PIERRE_INVALID_PARAMS, … The library itself returns PIERRE_INVALID_PARAMS for arguments that it
 * refuses to send. */
enum pierre_kind {
	PIERRE_OK = 0,
	PIERRE_NO_CONNECTION = -1, /* no daemon answers at the socket; nothing was sent */
	PIERRE_BROKEN = -2,        /* the connection broke before the answer arrived */
	PIERRE_NO_ANSWER = -3,     /* the call timed out */
	PIERRE_BAD_ANSWER = -4,    /* the library cannot decode the answer */
	PIERRE_NO_MEMORY = -5,
	PIERRE_MISUSE = -6, /* a blocking call in a callback; another method's `…_result`; a handle
	                       being freed */
	PIERRE_OTHER_ERROR = -7, /* the daemon returned an error with an unknown code */
};

/* The outcome of a failed write. */
enum pierre_outcome {
	PIERRE_OUTCOME_NONE = 0,    /* nothing was changed */
	PIERRE_OUTCOME_UNKNOWN = 1, /* the change may or may not have been made */
};

enum { PIERRE_MESSAGE_SIZE = 320, PIERRE_PATH_SIZE = 160, PIERRE_FIELD_SIZE = 32 };

/* Why a call failed. Allocated by the caller; needs no freeing; set only on failure. Functions
 * accept NULL instead. */
struct pierre_error {
	int kind;       /* the return value of the function */
	int code;       /* the daemon's JSON-RPC code; 0 for the library's own errors */
	int outcome;    /* enum pierre_outcome */
	bool retryable; /* a retry may succeed */
	uint64_t ref;   /* PIERRE_INTERNAL: the reference number in the daemon's log; else 0 */
	char message[PIERRE_MESSAGE_SIZE]; /* for people; contains no secret */
	char path[PIERRE_PATH_SIZE]; /* PIERRE_INVALID_PARAMS: which parameter, such as user.email;
	                                else "" */
	char field[PIERRE_FIELD_SIZE]; /* PIERRE_CONFLICT: which unique value is taken, such as
	                                  email; else "" */
	int index;                     /* the call of a transaction that failed, from 0; -1: none */
};

/* A name and a count: an entry of tool_usage and similar maps, ordered by the bytes of the name. */
struct pierre_count {
	const char *name;
	int64_t count;
};

/* Handle
 * ----------------------------------------------------------------------
 */

/* socket: the daemon's socket; NULL: $PIERRE_DBD_SOCKET, else $RUNTIME_DIRECTORY/pierre-dbd.sock,
 * else $XDG_RUNTIME_DIR/pierre-dbd.sock, else /tmp/pierre-dbd-<uid>/pierre-dbd.sock. Does not
 * connect yet. NULL when out of memory. */
PIERRE_API struct pierre *pierre_new(const char *socket);

/* Closes the connection and frees the handle; accepts NULL. Callbacks of unfinished calls do not
 * run. Inside a callback it takes effect when the outermost library call returns; do not use the
 * handle any more. */
PIERRE_API void pierre_free(struct pierre *db);

/* connect_ms: time that a call waits for a connection, including retries (default 2000; 0: one
 * attempt). call_ms: time limit of a call (default 35000, slightly above the daemon's own limit);
 * 0: no limit. Both apply to later calls. */
PIERRE_API void pierre_set_timeouts(struct pierre *db, unsigned connect_ms, unsigned call_ms);

/* Maximum length in bytes of a line sent (default 1 MiB, the daemon's default) and received
 * (default 17 MiB, slightly above the daemon's); for daemons with other limits. 0 keeps the current
 * limit. */
PIERRE_API void pierre_set_limits(struct pierre *db, size_t request, size_t answer);

/* false: writes carry no key of their own and are not repeated; one with an unknown outcome fails
 * with PIERRE_OUTCOME_UNKNOWN at once. Needed with a daemon of the first edition, which ignores
 * keys and would carry out a repeated write twice. Default: true. Applies to later calls. */
PIERRE_API void pierre_set_repeats(struct pierre *db, bool repeats);

/* The idempotency key of the next call, in place of the library's own: a text of 1 to 64 bytes. For
 * programs that repeat a write after a restart. The daemon knows a key for 24 hours; a call with
 * another method or other parameters then fails with PIERRE_INVALID_REQUEST. Reads ignore it. */
PIERRE_API int pierre_set_key(struct pierre *db, const char *key, struct pierre_error *error);

/* The path that pierre_new(NULL) uses, whether or not it exists. Fails with PIERRE_NO_CONNECTION
 * when the folder in /tmp belongs to another user, or the path is too long for a socket. */
PIERRE_API int pierre_default_socket(char *path, size_t size, struct pierre_error *error);

/* Calls by name
 * ----------------------------------------------------------------------
 */

/* params: JSON text of an object or an array, or NULL. *result: the result as JSON text, exactly as
 * sent by the daemon; free it with pierre_text_free. Methods unknown to the library are treated as
 * writes. */
PIERRE_API int pierre_call(struct pierre *db, const char *method, const char *params, char **result,
	struct pierre_error *error);

/* Frees a text returned by a call; accepts NULL. */
PIERRE_API void pierre_text_free(char *text);

/* Asynchronous calls
 * ----------------------------------------------------------------------
 */

/* Runs once for each finished queued call, inside pierre_process, pierre_wait or a blocking call.
 * It may queue further calls and cancel others. It gets the result with the method's `…_result`, or
 * pierre_answer_json; the answer is valid until it returns. */
typedef void pierre_done(struct pierre *db, const struct pierre_answer *answer, void *userdata);

/* Queues a call; returns its number (above 0), or an error's kind (below 0), in which case done
 * does not run. params as in pierre_call. done may be NULL. */
PIERRE_API int64_t pierre_call_async(struct pierre *db, const char *method, const char *params,
	pierre_done *done, void *userdata, struct pierre_error *error);

/* Cancels a call: its callback does not run, and its answer is dropped. The daemon may still
 * execute it. Returns false when no unfinished call has that number. */
PIERRE_API bool pierre_cancel(struct pierre *db, int64_t call);

/* Returns the result of any method as JSON text (see pierre_call), or the error of the call. */
PIERRE_API int pierre_answer_json(
	const struct pierre_answer *answer, char **result, struct pierre_error *error);

/* Returns the number of unfinished calls. */
PIERRE_API size_t pierre_pending(const struct pierre *db);

/* Processes calls until all are finished (returns 0) or the timeout expires (returns
 * PIERRE_NO_ANSWER; the calls continue). -1: no timeout. */
PIERRE_API int pierre_wait(struct pierre *db, int timeout_ms);

/* Transactions
 * ----------------------------------------------------------------------
 *
 * Several calls that take effect together or not at all. Each method that can take part has a
 * function pierre_add_…, with the parameters of its call, that adds it and returns its index (0, 1,
 * …), or an error's kind (below 0). Each result is read with the method's own `…_result`:
 *
 *     struct pierre_transaction *both = pierre_transaction_new();
 *     int user = pierre_add_create_user(both, &ana, &error);
 *     int count = pierre_add_get_user_count(both, &error);
 *     char *id;
 *     int64_t users;
 *
 *     if (pierre_transaction_run(db, both, &error) == 0) {
 *             pierre_create_user_result(pierre_transaction_answer(both, user), &id, &error);
 *             pierre_get_user_count_result(pierre_transaction_answer(both, count), &users, &error);
 *     }
 *     pierre_transaction_free(both);
 *
 * The calls run in order; each sees the changes of those before it. The first that fails undoes all
 * of them: its error is that of the transaction, and error.index is its index. Results belong to
 * the caller, as those of other calls do, and outlive the transaction.
 *
 * Arguments are copied when they are added. A transaction belongs to one thread at a time, and to
 * no handle. Like other writes it has an idempotency key, and is sent again while its outcome is
 * unknown. It may run again after a failure with PIERRE_OUTCOME_NONE. After PIERRE_OUTCOME_UNKNOWN
 * or a cancelled run, a further run may be a second one, unless both have the same key
 * (pierre_set_key()). */

enum { PIERRE_TRANSACTION_MAX = 100 }; /* max calls */

/* Calls that run together, and their results. */
struct pierre_transaction;

/* NULL when out of memory. */
PIERRE_API struct pierre_transaction *pierre_transaction_new(void);
/* Wipes and frees it; accepts NULL. */
PIERRE_API void pierre_transaction_free(struct pierre_transaction *transaction);
/* Number of its calls. */
PIERRE_API int pierre_transaction_count(const struct pierre_transaction *transaction);
/* Runs the calls and waits for the results. */
PIERRE_API int pierre_transaction_run(
	struct pierre *db, struct pierre_transaction *transaction, struct pierre_error *error);
/* Queues it, as pierre_call_async does. The calls are copied: the transaction may be freed, or
 * changed, at any time. */
PIERRE_API int64_t pierre_transaction_run_async(struct pierre *db,
	const struct pierre_transaction *transaction, pierre_done *done, void *userdata,
	struct pierre_error *error);
/* In the callback of a queued transaction: takes its results, or returns its error. */
PIERRE_API int pierre_transaction_result(struct pierre_transaction *transaction,
	const struct pierre_answer *answer, struct pierre_error *error);
/* The answer to the call of that index, for its method's `…_result`; valid until the transaction is
 * freed or runs again. NULL, which that function refuses, before a successful run. */
PIERRE_API const struct pierre_answer *pierre_transaction_answer(
	const struct pierre_transaction *transaction, int index);

/* Integration into an event loop
 * ----------------------------------------------------------------------
 *
 * Before the loop sleeps: watch pierre_fd() for pierre_events(), and sleep no longer than
 * pierre_timeout_ms(). When the fd is ready or the timeout expires, call pierre_process(). All
 * three values can change with every call and every pierre_process().
 *
 * The fd belongs to the library: do not read, write or close it. A new connection may reuse the
 * number of the last one. pierre_process() never replaces the fd unless pierre_fd() returns -1 in
 * between; blocking calls and pierre_wait() may. A loop that registers its fds (epoll) must
 * register this one again after -1 and after those functions. */

enum pierre_event { PIERRE_EVENT_READ = 1, PIERRE_EVENT_WRITE = 2 };

/* Returns -1 without a connection: then only the timeout applies. */
PIERRE_API int pierre_fd(const struct pierre *db);
/* A bit mask of enum pierre_event. */
PIERRE_API unsigned pierre_events(const struct pierre *db);
/* -1: no timeout is pending; 0: call pierre_process at once. */
PIERRE_API int pierre_timeout_ms(const struct pierre *db);
/* Does all work that needs no waiting, and runs the callbacks of finished calls. Never blocks. Does
 * nothing inside a callback. */
PIERRE_API void pierre_process(struct pierre *db);

/* Times
 * ----------------------------------------------------------------------
 * *
 *
 * A time is an int64_t: microseconds since 1970-01-01T00:00:00Z, the precision of the daemon. The
 * years 0000 to 9999 are valid. */

enum { PIERRE_TIME_SIZE = 28 };

/* The current time of the system clock. */
PIERRE_API int64_t pierre_time_now(void);
/* Formats `2025-06-19T15:44:49.123456Z`; returns false and an empty text outside the valid years.
 */
PIERRE_API bool pierre_time_format(int64_t time, char text[PIERRE_TIME_SIZE]);
/* Parses RFC 3339 with any offset; digits beyond microseconds are truncated. Returns false for an
 * invalid text and leaves *time unchanged. */
PIERRE_API bool pierre_time_parse(const char *text, int64_t *time);

/* Names
 * ----------------------------------------------------------------------
 */

/* The name of an error's kind: `not_found`, `broken`, … Never NULL. */
PIERRE_API const char *pierre_kind_name(int kind);
/* The library's version. */
PIERRE_API const char *pierre_version(void);

#ifdef __cplusplus
}
#endif

#include "pierre-db-calls.h"

#endif
