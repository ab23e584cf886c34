/* A store: one open database behind one interface. Two implementations: backends/sqlite,
 * backends/postgres.
 *
 * A store does not depend on clients or on the event loop's library. Every function here is called
 * on the loop thread. A store may have threads, which report back through `fd`. Each submitted call
 * gets exactly one done(), on the loop thread. */
#ifndef PIERRE_STORE_H
#define PIERRE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "call.h"
#include "secrets/seal.h"

/* An answer of more bytes is large: it waits for memory (memory() below). */
enum { STORE_LARGE_ANSWER = 64 << 10 };
/* While there is none, one of them begins after this time. */
#define STORE_LARGE_WAIT_NS (UINT64_C(2) * 1000 * 1000 * 1000)

/* Which server answers the methods that the catalog marks as causal (PostgreSQL). */
enum read_from {
	READ_FROM_PRIMARY,
	READ_FROM_STANDBY,        /* a standby, if it proves that it is not behind */
	READ_FROM_STANDBY_IF_LOST /* the primary, and a standby while there is none */
};

/* Why a causal read went to the primary although standbys are to be read. */
enum read_reason {
	READ_BEHIND,   /* no standby had replayed what the client's read must see */
	READ_OLD,      /* every standby was older than standby_lag_ms */
	READ_CONFLICT, /* replay on the standby cancelled it */
	READ_LOST,     /* no standby was connected, or the connection was lost */
	READ_SLOW,     /* the standby did not answer in time */
	READ_PENDING,  /* it is behind a call on the primary, whose position is not known yet */
	READ_REASONS
};

struct store_settings {
	const char *url;   /* DATABASE_URL as given (secret: may hold a password) */
	struct seal *seal; /* the token key; outlives the store. NULL: opened only to migrate */
	bool migrate;      /* run migrations at open; else refuse a schema that is not current */
	unsigned readers;  /* SQLite: read threads */
	unsigned batch;    /* max calls in one transaction or batch */
	unsigned checkpoint_pages; /* SQLite: WAL pages before a checkpoint */
	unsigned connections;      /* PostgreSQL: pool size */
	unsigned min_connections;
	uint64_t connect_timeout_ms, acquire_timeout_ms, idle_timeout_ms, lifetime_ms;
	uint64_t wait_for_database_ms; /* PostgreSQL: how long to retry connecting at open */
	enum read_from read_from;
	const char *standby_url;     /* further standbys; secret like url; NULL: none */
	uint64_t standby_lag_ms;     /* max age of what a causal read sees */
	uint64_t standby_wait_ms;    /* how long a read waits for a standby's replay */
	uint64_t standby_outage_ms;  /* how long standbys answer without a primary */
	unsigned queue;              /* max calls that wait for a connection */
	uint64_t usage_retention_ms; /* usage rows older than this are dropped; 0: none */
	bool prepared_statements; /* PostgreSQL: named statements, unless a pooler is found before
	                             the server */
	void (*log)(int level, const char *format, ...)
		__attribute__((format(printf, 2, 3))); /* any thread; syslog levels */
	void (*progress)(const char *what); /* open only: a migration makes progress (extends
	                                       systemd's start time-out) */
};

enum store_health { STORE_OK, STORE_DEGRADED, STORE_DOWN };

/* Gauges and counters for daemon.stats, metrics and top; names are the metric names without prefix.
 */
struct store_stats {
	unsigned connections_idle, connections_active, connections_connecting, connections_max;
	unsigned queued,
		running; /* calls that wait for a worker or connection; calls in the database */
	uint64_t transactions, batched_calls,
		batch_max;      /* group commits or pipeline syncs; calls in them; largest */
	uint64_t batches_ahead; /* PostgreSQL: pipeline syncs sent behind another under way */
	uint64_t merged_calls;  /* PostgreSQL: look-ups among them that shared a statement */
	uint64_t retries, reconnects, connect_failures, timeouts;
	uint64_t wait_ns_total, wait_count; /* time that calls waited for a worker or connection */
	uint64_t wal_bytes, checkpoints, checkpoint_busy; /* SQLite */
	uint64_t seals, opens;                            /* tokens sealed and opened */
	uint64_t key_seals;                               /* texts sealed in the key's life */
	uint64_t stalled_ns; /* when a thread with work made its last step; 0 = none is stalled. For
	                        the watchdog */
	uint64_t loop_bytes_max;      /* rows encoded on the loop: by one look-up (SQLite), in one
	                                 iteration (PostgreSQL) */
	uint64_t timeline, went_back; /* PostgreSQL: the newest one seen; primaries refused since
	                                 they were on an older one */
	/* PostgreSQL, while standbys are read: */
	uint64_t standby_reads;               /* causal reads that standbys have answered */
	uint64_t primary_reads[READ_REASONS]; /* those that went to the primary, by reason */
	uint64_t outage_ns;               /* how long there has been no primary; 0 = there is one */
	char gone_back[ERR_MESSAGE_MAX];  /* why the primary at hand is refused; "" = it is not */
	char last_error[ERR_MESSAGE_MAX]; /* error of connecting or writing; password redacted; "" =
	                                     none */
	int64_t last_error_at;            /* wall clock µs */
};

enum server_role {
	SERVER_UNREACHABLE,
	SERVER_PRIMARY,
	SERVER_STANDBY,
	SERVER_OUTDATED /* a standby that does not follow the newest primary */
};

/* A server of the cluster, as the store knows it while standbys are read. */
struct store_server {
	char host[128]; /* host:port, or the directory of its socket with the port */
	enum server_role role;
	unsigned connections; /* open */
	uint64_t reads;       /* causal reads that it has answered as a standby */
	int64_t age_ms; /* age of what a standby shows, by the daemon's own samples; -1: unknown */
	int64_t lag_bytes; /* of the primary's log that it has not replayed; -1: unknown */
	char error[ERR_MESSAGE_MAX]; /* why it is unreachable; password redacted; "": none */
};

enum { STORE_SERVERS_MAX = 16 };

struct store_version {
	const char *backend; /* "sqlite" or "postgresql" */
	char engine[64];     /* "3.40.1", "15.18" */
	int64_t schema;      /* newest migration in the database */
	const char *path;    /* SQLite: the file, for the store's life; NULL: none */
	const char *warning; /* SQLite: warning about the file's location; NULL: none */
};

struct store;

struct store_ops {
	const char *name; /* "sqlite", "postgresql" */
	/* Accepts a call. Its done() runs in flush, process or tick, never inside submit. Calls
	 * with the same `order` stay in order. */
	void (*submit)(struct store *, struct call *);
	bool submit_reads; /* submit itself executes short look-ups, which takes time */
	/* End of a loop iteration: hands over all submitted calls. None may wait for the next
	 * iteration. */
	void (*flush)(struct store *);
	/* A descriptor that is readable when process() has work; constant for the store's life. */
	int (*fd)(struct store *);
	void (*process)(struct store *);
	/* About once a second: deadlines, idle connections, file checks. On failure the store is
	 * lost and the daemon must exit with err->exit_code. */
	int (*tick)(struct store *, struct err *);
	/* When process or tick must run next even if fd is not readable, CLOCK_MONOTONIC ns; 0 =
	 * not scheduled. */
	uint64_t (*next_due)(struct store *);
	void (*stats)(struct store *, struct store_stats *);
	/* The servers whose reads are split; returns their number. NULL: this database has none. */
	unsigned (*servers)(struct store *, struct store_server out[STORE_SERVERS_MAX]);
	/* Reads on all connections must see what the position `log` covers (daemon.wait_for has
	 * compared it). NULL: they do. */
	void (*read_after)(struct store *, uint64_t log);
	void (*version)(struct store *, struct store_version *);
	/* Queries the database. `probe` is a call without a method; its done() is called with err
	 * set on failure. */
	void (*ping)(struct store *, struct call *probe);
	/* Memory that answers may still take, after each loop iteration. True: calls have waited
	 * for it, and flush() goes on with them. */
	bool (*memory)(struct store *, size_t free);
	/* While paused the store begins no work of its own. */
	void (*pause)(struct store *, bool paused);
	enum store_health (*health)(struct store *, char detail[ERR_MESSAGE_MAX]);
	/* Starts a backup to `path` (absolute) in the background. *began is false while one runs.
	 * NULL: not supported by this database. */
	int (*backup)(struct store *, const char *path, bool force, bool *began, struct err *);
	/* Appends the members of a JSON object: progress of the backup, or the outcome of the last
	 * one. */
	void (*backup_state)(struct store *, struct buffer *out);
	/* Ends everything. Calls still lent are done() with ERR_SHUTTING_DOWN, or with their
	 * outcome. Checkpoints SQLite's WAL.
	 *
	 * deadline: CLOCK_MONOTONIC ns; 0 = none. What has not ended by then, such as I/O on a hung
	 * disk, is abandoned. The process must then exit without freeing what it passed to the
	 * store. */
	void (*close)(struct store *, uint64_t deadline);
};

struct store {
	const struct store_ops *ops; /* first member of each implementation's struct */
};

/* Chooses the implementation by the URL's scheme. err->exit_code is set on failure (78 unknown
 * form, 65 bad file, 69 unreachable, 73, 74, 75, 77 wrong key). */
int store_open(struct store **ret, const struct store_settings *settings, struct err *err);
/* Checks only the form: which backend a URL names. exit_code 78. */
int store_check_url(const char *url, enum backend_id *backend, struct err *err);
/* Checks a whole database that is not open. Failure: it cannot be read (exit_code). Faults found
 * are in the report, which verify_free frees in either case. */
struct verify_report;
int store_verify(struct verify_report *report, const char *url, struct seal *seal, struct err *err);

#endif
