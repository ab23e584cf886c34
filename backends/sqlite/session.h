/* One SQLite connection with its prepared statements. Thread: used by one thread at a time;
 * interrupt from any. */
#ifndef PIERRE_SQLITE_SESSION_H
#define PIERRE_SQLITE_SESSION_H

#include <sqlite3.h>
#include <stdbool.h>

#include "../call.h"
#include "../secrets/seal.h"

struct session {
	sqlite3 *db;
	sqlite3_stmt **statements; /* by method->index; made when first needed */
	sqlite3_stmt *begin, *commit, *rollback;
	int wal_pages; /* in the log after the last commit; the writer looks at it */
	struct seal *seal;
	size_t max; /* bytes of a value, and of an answer; 0: any. A call with more is
	                RUN_INTERRUPTED */
};

/* FIXED: the file as it is, without log, journal or locks. ALONE: with its log, keeping all others
 * away. Neither changes or makes a file: they look before anything is decided. */
enum session_mode { SESSION_WRITE, SESSION_READ, SESSION_MEMORY, SESSION_FIXED, SESSION_ALONE };

/* path: the file's name; not looked at in MEMORY mode. err->exit_code is set on failure. */
int session_open(struct session *session, const char *path, enum session_mode mode,
	struct seal *seal, struct err *err);
void session_close(struct session *session); /* safe on a zeroed struct */

/* How one run of a call ended. */
enum run_result {
	RUN_DONE,        /* answered, or failed by its own fault (call->err) */
	RUN_INTERRUPTED, /* sqlite3_interrupt or a limit of steps or bytes: nothing was changed by
	                    it */
	RUN_BUSY,        /* another process holds a lock */
	RUN_BROKEN,      /* storage failed (call->err set): the transaction is lost */
};

/* Leaves what has more bytes to another connection. */
void session_bound(struct session *session, size_t max);
/* Runs a call's statement within the transaction that the caller holds. */
enum run_result session_run(struct session *session, struct call *call);

/* Steps a statement that gives no rows; the SQLite result code, SQLITE_OK for done. */
int session_step(sqlite3_stmt *statement);
/* One value of one row, or -1. */
int64_t session_integer(struct session *session, const char *sql);
/* 1: it is there, 0: it is not, -1: that cannot be read. Decide nothing on a failed read. */
int session_find_table(struct session *session, const char *name);
bool session_has_table(struct session *session, const char *name);
/* The connection's last error as one of the start, with its exit_code; -1. */
int session_failed(struct session *session, const char *what, struct err *err);
/* The rows of each table but SQLite's own, by name; `each` gives 0 to go on. A result code. */
int session_count_tables(
	sqlite3 *db, int (*each)(void *argument, const char *name, int64_t rows), void *argument);
/* The storage error of a result code, in words that name no SQL. */
const char *session_reason(int code);
/* Prepares every statement of the catalog and checks its columns against the answer's row schema.
 */
int session_prepare_all(struct session *session, struct err *err);

#endif
