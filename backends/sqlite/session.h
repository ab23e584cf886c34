/* One SQLite connection with its prepared statements. Thread: used by one thread at a time;
 * interrupt from any. */
#ifndef PIERRE_SQLITE_SESSION_H
#define PIERRE_SQLITE_SESSION_H

#include <sqlite3.h>
#include <stdbool.h>

#include "../call.h"
#include "../secrets/seal.h"

enum { SESSION_KEPT = 64 };

struct session {
	sqlite3 *db;
	sqlite3_stmt **statements; /* by method->index; prepared when first needed */
	sqlite3_stmt *begin, *commit, *rollback;
	struct {
		const char *sql; /* a constant; compared by address */
		sqlite3_stmt *statement;
	} kept[SESSION_KEPT]; /* session_keep */
	int wal_pages;        /* pages in the log after the last commit; the writer reads it */
	struct seal *seal;
	size_t max; /* max bytes of a value, and of an answer; 0: unlimited. A larger call is
	               RUN_INTERRUPTED */
};

/* FIXED: the file alone, without log, journal or locks. ALONE: with its log, excluding all others.
 * Both read only, before any decision; they neither change nor create a file. */
enum session_mode { SESSION_WRITE, SESSION_READ, SESSION_MEMORY, SESSION_FIXED, SESSION_ALONE };

/* path: the file's name; unused in MEMORY mode. err->exit_code is set on failure. */
int session_open(struct session *session, const char *path, enum session_mode mode,
	struct seal *seal, struct err *err);
void session_close(struct session *session); /* a zeroed struct is allowed */

/* How one run of a call ended. */
enum run_result {
	RUN_DONE,        /* answered, or failed by the call's own fault (call->err) */
	RUN_INTERRUPTED, /* sqlite3_interrupt, or a limit of steps or bytes: it has changed nothing
	                  */
	RUN_BUSY,        /* another process holds a lock */
	RUN_BROKEN,      /* storage failed (call->err set): the transaction is lost */
};

/* Leaves larger answers to another connection. */
void session_bound(struct session *session, size_t max);
/* Runs a call's statements within the caller's transaction. */
enum run_result session_run(struct session *session, struct call *call);
/* The same for a method with a `fast` statement. call->rows 0: it has not answered the call. */
enum run_result session_run_fast(struct session *session, struct call *call);
/* What a failed statement of the call means; sets call->err. */
enum run_result session_run_failed(struct session *session, struct call *call, int code);

/* A statement of the daemon's own work, prepared when it is first needed. sql: a constant, of which
 * there are at most SESSION_KEPT. The caller resets it; the session frees it. */
int session_keep(struct session *session, const char *sql, sqlite3_stmt **statement);
/* Runs a statement without result rows; returns the SQLite result code, SQLITE_OK for done. */
int session_step(sqlite3_stmt *statement);
/* One value of one row, or -1. */
int64_t session_integer(struct session *session, const char *sql);
/* 1: exists, 0: does not exist, -1: unreadable. Make no decision on a failed read. */
int session_find_table(struct session *session, const char *name);
bool session_has_table(struct session *session, const char *name);
/* Sets the connection's last error as a start-up error with its exit_code; returns -1. */
int session_failed(struct session *session, const char *what, struct err *err);
/* Counts the rows of each table but SQLite's own, by name; `each` returns 0 to continue. A result
 * code. */
int session_count_tables(
	sqlite3 *db, int (*each)(void *argument, const char *name, int64_t rows), void *argument);
/* The storage error for a result code, without SQL names. */
const char *session_reason(int code);
/* Prepares every statement of the catalog and checks its columns against the answer's row
 * schema. */
int session_prepare_all(struct session *session, struct err *err);

#endif
