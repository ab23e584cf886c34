/* A store: one open database behind one interface. Two implementations: backends/sqlite,
 * backends/postgres.
 *
 * A store has no knowledge of clients or of the event loop's library. Every function here is called
 * on the loop thread; the store may have threads of its own, which hand back through `fd`. Each
 * call that is submitted gets exactly one done(), on the loop thread. */
#ifndef PIERRE_STORE_H
#define PIERRE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "call.h"
#include "secrets/seal.h"

struct store_settings {
	const char *url;   /* DATABASE_URL as given (secret: may hold a password) */
	struct seal *seal; /* the token key; outlives the store. NULL: opened to be migrated and
	                      closed, for no calls */
	bool migrate;      /* run migrations at open; else refuse a schema that is not current */
	unsigned readers;  /* SQLite: read threads */
	unsigned batch;    /* most calls that one transaction or pipeline turn takes */
	unsigned checkpoint_pages; /* SQLite: WAL pages before a checkpoint */
	unsigned connections;      /* PostgreSQL: pool size */
	unsigned min_connections;
	uint64_t connect_timeout_ms, acquire_timeout_ms, idle_timeout_ms, lifetime_ms;
	uint64_t wait_for_database_ms; /* PostgreSQL: keep trying at open for that long */
	unsigned queue;                /* most calls that wait for a connection */
	bool prepared_statements; /* PostgreSQL: named statements, unless a pooler is found before
	                             the server */
	void (*log)(int level, const char *format, ...)
		__attribute__((format(printf, 2, 3))); /* any thread; syslog levels */
	void (*progress)(const char *what); /* open only: migrations move on (extends systemd's
	                                       start time-out) */
};

enum store_health { STORE_OK, STORE_DEGRADED, STORE_DOWN };

/* Gauges and counters for daemon.stats, metrics and top; names are the metric names without prefix.
 */
struct store_stats {
	unsigned connections_idle, connections_active, connections_connecting, connections_max;
	unsigned queued,
		running; /* calls waiting for a worker or connection; calls in the database */
	uint64_t transactions, batched_calls,
		batch_max;     /* group commits or pipeline syncs; calls in them; largest */
	uint64_t merged_calls; /* PostgreSQL: of them, look-ups that shared a statement */
	uint64_t retries, reconnects, connect_failures, timeouts;
	uint64_t wait_ns_total, wait_count; /* time calls waited for a worker or connection */
	uint64_t wal_bytes, checkpoints, checkpoint_busy; /* SQLite */
	uint64_t seals, opens;                            /* tokens sealed and opened */
	uint64_t key_seals;  /* texts that the key has sealed in its life */
	uint64_t stalled_ns; /* since when a thread that has work made no step; 0 = all move. For
	                        the watchdog */
	uint64_t loop_bytes_max;          /* of rows that became answers on the loop: by one look-up
	                                     (SQLite), in one turn (PostgreSQL) */
	char last_error[ERR_MESSAGE_MAX]; /* of connecting or writing; password redacted; "" = none
	                                   */
	int64_t last_error_at;            /* wall clock µs */
};

struct store_version {
	const char *backend; /* "sqlite" or "postgresql" */
	char engine[64];     /* "3.40.1", "15.18" */
	int64_t schema;      /* newest migration in the database */
	const char *path;    /* SQLite: the file, for the store's life; NULL: none */
	const char *warning; /* SQLite: what is to be known about where it lies; NULL: nothing */
};

struct store;

struct store_ops {
	const char *name; /* "sqlite", "postgresql" */
	/* Takes a call; its done() comes with flush, process or tick, never inside submit. The
	 * order of calls with one `order` is kept. */
	void (*submit)(struct store *, struct call *);
	/* End of a loop turn: hand over what was submitted, in one go. Nothing may wait for the
	 * next turn. */
	void (*flush)(struct store *);
	/* A descriptor that is readable when process() has something to do; the same for the
	 * store's life. */
	int (*fd)(struct store *);
	void (*process)(struct store *);
	/* About once a second: deadlines, idle connections, file checks. Failure: the store is
	 * lost, the daemon must exit with err->exit_code. */
	int (*tick)(struct store *, struct err *);
	/* When process or tick is next needed although fd stays silent, CLOCK_MONOTONIC ns; 0 =
	 * nothing planned. */
	uint64_t (*next_due)(struct store *);
	void (*stats)(struct store *, struct store_stats *);
	void (*version)(struct store *, struct store_version *);
	/* Really asks the database. `probe` is a call without method whose done() is called with
	 * err set when it is not well. */
	void (*ping)(struct store *, struct call *probe);
	enum store_health (*health)(struct store *, char detail[ERR_MESSAGE_MAX]);
	/* Begins a copy of the database at `path` (absolute), in the background; *began is false
	 * when one is under way. NULL: the database has means of its own. */
	int (*backup)(struct store *, const char *path, bool force, bool *began, struct err *);
	/* The members of a JSON object: how far the copy is, or what came of the last one. */
	void (*backup_state)(struct store *, struct buffer *out);
	/* Ends everything; calls still lent are done() with ERR_SHUTTING_DOWN, or with what became
	 * of them. Checkpoints SQLite's WAL. deadline: CLOCK_MONOTONIC ns; 0 = none. What does not
	 * end by then, such as a disk that hangs, is left alone: the process must end then, and not
	 * free what the store was given. */
	void (*close)(struct store *, uint64_t deadline);
};

struct store {
	const struct store_ops *ops; /* first member of each implementation's struct */
};

/* Chooses the implementation by the URL's scheme. err->exit_code is set on failure (78 unknown
 * form, 65 bad file, 69 unreachable, 73, 74, 75, 77 wrong key). */
int store_open(struct store **ret, const struct store_settings *settings, struct err *err);
/* The form alone: which backend a URL names. exit_code 78. */
int store_check_url(const char *url, enum backend_id *backend, struct err *err);
/* Checks a whole database that is not open. Failure: it cannot be read (exit_code). What is wrong
 * with it is in the report, which verify_free frees in either case. */
struct verify_report;
int store_verify(struct verify_report *report, const char *url, struct seal *seal, struct err *err);

#endif
