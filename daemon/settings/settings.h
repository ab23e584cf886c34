/* The daemon's settings: a table with one row each. The struct, parsing, --help, its Markdown form
 * and introspection are made from it.
 *
 * A value is taken from the flag, else the environment, else the `.env` file, else the default; an
 * empty value counts as unset. Numbers are stored in the smallest unit (bytes, milliseconds).
 * Thread: the loop thread; plain data for others. */
#ifndef PIERRE_SETTINGS_H
#define PIERRE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../../backends/secrets/password.h"
#include "../../protocol/buffer.h"
#include "../../protocol/error.h"
#include "../../protocol/json/json.h"

enum setting_type {
	SETTING_TEXT,
	SETTING_URL,    /* a text whose password is hidden */
	SETTING_SECRET, /* a hidden text; no flag, since flags are visible in the process list */
	SETTING_BOOL,   /* --name, --no-name, --name=yes|no */
	SETTING_COUNT,
	SETTING_BYTES,  /* 64KiB, 1MiB, 1000 */
	SETTING_TIME,   /* 500ms, 30s, 5m, 1h, 30 (seconds) */
	SETTING_MODE,   /* octal; 0 = not set */
	SETTING_CHOICE, /* an index into the row's words */
};

enum { SETTING_RELOAD = 1 }; /* SIGHUP applies a new value */

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)

/* X(member, type, flag, environment, default, words, min, max, flags, group, description). flag
 * NULL: no flag. words: for a CHOICE its values, separated by |; for a TEXT its name in --help;
 * NULL: TEXT. A SECRET, and the password of a URL, are hidden wherever the table is displayed. */
#define SETTINGS(X)                                                                                \
	X(database_url, URL, "database-url", "DATABASE_URL", "sqlite:./data/pierre.db", NULL, 0,   \
		0, 0, "Database",                                                                  \
		"sqlite:PATH (%xx is decoded; ?mode=rw requires a file), sqlite::memory: or "      \
		"postgresql://USER:PASSWORD@HOST:PORT/DATABASE")                                   \
	X(migrate, BOOL, "migrate", "PIERRE_DBD_MIGRATE", "yes", NULL, 0, 1, 0, "Database",        \
		"migrate the schema at start; --no-migrate refuses a schema that is not current")  \
	X(wait_for_database, TIME, "wait-for-database", "PIERRE_DBD_WAIT_FOR_DATABASE", "0", NULL, \
		0, 24 * HOUR, 0, "Database",                                                       \
		"PostgreSQL: time to keep trying to connect at start")                             \
	X(sqlite_readers, COUNT, "sqlite-readers", "PIERRE_DBD_SQLITE_READERS", "0", NULL, 0, 64,  \
		0, "Database", "SQLite: number of reader threads; 0 = one per processor, 2 to 8")  \
	X(checkpoint_pages, COUNT, "checkpoint-pages", "PIERRE_DBD_CHECKPOINT_PAGES", "1000",      \
		NULL, 10, 1000000, 0, "Database",                                                  \
		"SQLite: number of WAL pages that triggers a checkpoint")                          \
	X(batch, COUNT, "batch", "PIERRE_DBD_BATCH", "1024", NULL, 1, 4096, 0, "Database",         \
		"maximum number of calls in one transaction or pipeline batch")                    \
	X(pool, COUNT, "pool", "PIERRE_DBD_POOL", "8", NULL, 1, 128, 0, "Database",                \
		"PostgreSQL: maximum number of connections")                                       \
	X(pool_min, COUNT, "pool-min", "PIERRE_DBD_POOL_MIN", "1", NULL, 1, 128, 0, "Database",    \
		"PostgreSQL: number of connections kept open when idle")                           \
	X(pool_queue, COUNT, "pool-queue", "PIERRE_DBD_POOL_QUEUE", "100000", NULL, 1, 10000000,   \
		0, "Database", "maximum number of calls that wait for a connection")               \
	X(connect_timeout, TIME, "connect-timeout", "PIERRE_DBD_CONNECT_TIMEOUT", "5s", NULL, 10,  \
		HOUR, 0, "Database",                                                               \
		"PostgreSQL: timeout of one connection attempt, in whole seconds, minimum 2")      \
	X(acquire_timeout, TIME, "acquire-timeout", "PIERRE_DBD_ACQUIRE_TIMEOUT", "5s", NULL, 10,  \
		HOUR, 0, "Database",                                                               \
		"PostgreSQL: maximum time that a call waits for a connection")                     \
	X(idle_timeout, TIME, "idle-timeout", "PIERRE_DBD_IDLE_TIMEOUT", "10m", NULL, SECOND,      \
		24 * HOUR, 0, "Database",                                                          \
		"PostgreSQL: time after which an idle connection is closed")                       \
	X(connection_lifetime, TIME, "connection-lifetime", "PIERRE_DBD_CONNECTION_LIFETIME",      \
		"1h", NULL, SECOND, 720 * HOUR, 0, "Database",                                     \
		"PostgreSQL: age at which a connection is replaced")                               \
	X(prepared_statements, BOOL, "prepared-statements", "PIERRE_DBD_PREPARED_STATEMENTS",      \
		"yes", NULL, 0, 1, 0, "Database",                                                  \
		"PostgreSQL: use named prepared statements, except through a pooler (PgBouncer)")  \
	X(read_from, CHOICE, "read-from", "PIERRE_DBD_READ_FROM", "primary",                       \
		"primary|standby|standby-only-if-lost", 0, 0, 0, "Database",                       \
		"PostgreSQL: servers that answer reads of profiles, goals, insights, "             \
		"logs and statistics")                                                             \
	X(standby_url, URL, "standby-url", "PIERRE_DBD_STANDBY_URL", "", NULL, 0, 0, 0,            \
		"Database",                                                                        \
		"PostgreSQL: further hosts with standbys, in the form of the database URL")        \
	X(standby_lag, TIME, "standby-lag", "PIERRE_DBD_STANDBY_LAG", "5s", NULL, 100, HOUR, 0,    \
		"Database", "PostgreSQL: maximum age of what a standby shows")                     \
	X(standby_wait, TIME, "standby-wait", "PIERRE_DBD_STANDBY_WAIT", "3ms", NULL, 0, SECOND,   \
		0, "Database",                                                                     \
		"PostgreSQL: time that a read waits for a standby to replay what it must see, "    \
		"before the primary answers it")                                                   \
	X(standby_outage, TIME, "standby-outage", "PIERRE_DBD_STANDBY_OUTAGE", "60s", NULL, 0,     \
		24 * HOUR, 0, "Database",                                                          \
		"PostgreSQL: time for which standbys answer reads while there is no primary")      \
	X(usage_retention, TIME, "usage-retention", "PIERRE_DBD_USAGE_RETENTION", "0", NULL, 0,    \
		36500 * 24 * HOUR, 0, "Database",                                                  \
		"usage rows older than this are deleted in the background, those of the last 32 "  \
		"days never; statistics still count them; 0 = all rows are kept")                  \
                                                                                                   \
	X(encryption_key, SECRET, NULL, "ENCRYPTION_KEY", "", NULL, 0, 0, 0, "Key",                \
		"the key that encrypts tokens: 32 bytes in base64 (see --generate-key)")           \
	X(encryption_key_file, TEXT, "encryption-key-file", "ENCRYPTION_KEY_FILE", "", "FILE", 0,  \
		0, 0, "Key",                                                                       \
		"file with the encryption key, readable by its owner only; "                       \
		"default $CREDENTIALS_DIRECTORY/encryption_key, if it exists")                     \
	X(previous_encryption_key, SECRET, NULL, "PREVIOUS_ENCRYPTION_KEY", "", NULL, 0, 0, 0,     \
		"Key", "the previous key during a key rotation; used for decryption only")         \
	X(previous_encryption_key_file, TEXT, "previous-encryption-key-file",                      \
		"PREVIOUS_ENCRYPTION_KEY_FILE", "", "FILE", 0, 0, 0, "Key",                        \
		"file with the previous key; "                                                     \
		"default $CREDENTIALS_DIRECTORY/previous_encryption_key, if it exists")            \
	X(lock_key_memory, BOOL, "lock-key-memory", "PIERRE_DBD_LOCK_KEY_MEMORY", "no", NULL, 0,   \
		1, 0, "Key", "refuse to start when the memory of the key cannot be locked")        \
	X(password_threads, COUNT, "password-threads", "PIERRE_DBD_PASSWORD_THREADS", "2", NULL,   \
		1, 64, 0, "Key", "number of threads that hash and verify passwords")               \
	X(password_queue, COUNT, "password-queue", "PIERRE_DBD_PASSWORD_QUEUE", "1024", NULL, 1,   \
		1000000, 0, "Key",                                                                 \
		"maximum number of waiting passwords; further calls fail with `unavailable`")      \
	X(bcrypt_cost, COUNT, "bcrypt-cost", "PIERRE_DBD_BCRYPT_COST", "12", NULL,                 \
		PASSWORD_COST_MIN, PASSWORD_COST_MAX, 0, "Key",                                    \
		"bcrypt cost of a new password hash")                                              \
	X(bcrypt_cost_limit, COUNT, "bcrypt-cost-limit", "PIERRE_DBD_BCRYPT_COST_LIMIT", "15",     \
		NULL, PASSWORD_COST_MIN, PASSWORD_COST_MAX, 0, "Key",                              \
		"highest bcrypt cost of a stored hash that can match; "                            \
		"each check takes as long as the costliest hash up to it")                         \
                                                                                                   \
	X(socket, TEXT, "socket", "PIERRE_DBD_SOCKET", "", "PATH", 0, 0, 0, "Clients",             \
		"path of the socket; default $RUNTIME_DIRECTORY/pierre-dbd.sock, "                 \
		"else $XDG_RUNTIME_DIR/pierre-dbd.sock, "                                          \
		"else /tmp/pierre-dbd-<uid>/pierre-dbd.sock")                                      \
	X(socket_mode, MODE, "socket-mode", "PIERRE_DBD_SOCKET_MODE", "", NULL, 0, 0777, 0,        \
		"Clients",                                                                         \
		"permissions of the socket; default 0660 in $RUNTIME_DIRECTORY, else 0600")        \
	X(default_role, CHOICE, "default-role", "PIERRE_DBD_DEFAULT_ROLE", "full",                 \
		"none|read|write|full|admin", 0, 0, SETTING_RELOAD, "Clients",                     \
		"role of peers without a rule; root and the daemon's user are admin")              \
	X(access, TEXT, "access", "PIERRE_DBD_ACCESS", "", "RULES", 0, 0, SETTING_RELOAD,          \
		"Clients",                                                                         \
		"rules such as user:alice=read,group:ops=admin; "                                  \
		"a rule for a user overrides those for its groups")                                \
	X(connections, COUNT, "connections", "PIERRE_DBD_CONNECTIONS", "1024", NULL, 1, 100000,    \
		SETTING_RELOAD, "Clients", "maximum number of connections")                        \
	X(admin_connections, COUNT, "admin-connections", "PIERRE_DBD_ADMIN_CONNECTIONS", "0",      \
		NULL, 0, 32, SETTING_RELOAD, "Clients",                                            \
		"connections beyond these limits that are reserved for the role admin")            \
	X(connections_per_user, COUNT, "connections-per-user", "PIERRE_DBD_CONNECTIONS_PER_USER",  \
		"0", NULL, 0, 100000, SETTING_RELOAD, "Clients",                                   \
		"maximum number of connections of one user; 0 = unlimited")                        \
	X(line_limit, BYTES, "line-limit", "PIERRE_DBD_LINE_LIMIT", "1MiB", NULL, KIB, 256 * MIB,  \
		SETTING_RELOAD, "Clients", "maximum length of a line")                             \
	X(batch_limit, COUNT, "batch-limit", "PIERRE_DBD_BATCH_LIMIT", "1000", NULL, 1, 1000000,   \
		SETTING_RELOAD, "Clients", "maximum number of calls in one JSON-RPC batch")        \
	X(depth_limit, COUNT, "depth-limit", "PIERRE_DBD_DEPTH_LIMIT", "64", NULL, 4,              \
		JSON_DEPTH_MAX, SETTING_RELOAD, "Clients", "maximum nesting depth of a JSON text") \
	X(answer_limit, BYTES, "answer-limit", "PIERRE_DBD_ANSWER_LIMIT", "16MiB", NULL, KIB,      \
		1024 * MIB, SETTING_RELOAD, "Clients",                                             \
		"maximum size of an answer; the answers of a batch count together")                \
	X(in_flight_limit, COUNT, "in-flight-limit", "PIERRE_DBD_IN_FLIGHT_LIMIT", "256", NULL, 1, \
		100000, SETTING_RELOAD, "Clients",                                                 \
		"calls in flight on one connection before reading from it pauses")                 \
	X(unsent_limit, BYTES, "unsent-limit", "PIERRE_DBD_UNSENT_LIMIT", "8MiB", NULL, KIB,       \
		1024 * MIB, SETTING_RELOAD, "Clients",                                             \
		"unsent answers of one connection before reading from it pauses")                  \
	X(memory_limit, BYTES, "memory-limit", "PIERRE_DBD_MEMORY_LIMIT", "64MiB", NULL, MIB,      \
		1024 * 1024 * MIB, SETTING_RELOAD, "Clients",                                      \
		"memory for all clients: lines, calls, batches and answers; "                      \
		"a connection that uses more than the free part pauses")                           \
	X(line_timeout, TIME, "line-timeout", "PIERRE_DBD_LINE_TIMEOUT", "30s", NULL, 10, HOUR,    \
		SETTING_RELOAD, "Clients",                                                         \
		"time to complete a line before the client is disconnected")                       \
	X(busy_poll, COUNT, "busy-poll", "PIERRE_DBD_BUSY_POLL", "100", NULL, 0, 1000, 0,          \
		"Clients",                                                                         \
		"microseconds to poll for the next call or answer before sleeping under load; "    \
		"0 = never poll")                                                                  \
	X(write_timeout, TIME, "write-timeout", "PIERRE_DBD_WRITE_TIMEOUT", "30s", NULL, 10, HOUR, \
		SETTING_RELOAD, "Clients",                                                         \
		"time after which a client that reads no answers is disconnected")                 \
	X(call_timeout, TIME, "call-timeout", "PIERRE_DBD_CALL_TIMEOUT", "30s", NULL, 10, HOUR,    \
		SETTING_RELOAD, "Clients", "time limit of one call")                               \
                                                                                                   \
	X(drain_timeout, TIME, "drain-timeout", "PIERRE_DBD_DRAIN_TIMEOUT", "10s", NULL, 0, HOUR,  \
		SETTING_RELOAD, "Operation",                                                       \
		"maximum time that a shutdown waits for calls in progress")                        \
	X(log_level, CHOICE, "log-level", "PIERRE_DBD_LOG_LEVEL", "info",                          \
		"error|warning|notice|info|debug", 0, 0, SETTING_RELOAD, "Operation",              \
		"minimum severity of log messages")                                                \
	X(slow_call, TIME, "slow-call", "PIERRE_DBD_SLOW_CALL", "1s", NULL, 0, HOUR,               \
		SETTING_RELOAD, "Operation",                                                       \
		"log calls that take longer than this, without their parameters; 0 = none")        \
	X(env_file, TEXT, "env-file", "PIERRE_DBD_ENV_FILE", "", "FILE", 0, 0, 0, "Operation",     \
		"configuration file with KEY=VALUE lines; default .env in the working directory, " \
		"if it exists and systemd did not start the daemon")

#define SETTING_MEMBER_TEXT char *
#define SETTING_MEMBER_URL char *
#define SETTING_MEMBER_SECRET char *
#define SETTING_MEMBER_BOOL uint64_t
#define SETTING_MEMBER_COUNT uint64_t
#define SETTING_MEMBER_BYTES uint64_t
#define SETTING_MEMBER_TIME uint64_t
#define SETTING_MEMBER_MODE uint64_t
#define SETTING_MEMBER_CHOICE uint64_t

enum setting_id {
#define X(member, ...) SETTING_ID_##member,
	SETTINGS(X)
#undef X
		SETTING_ROWS
};

enum setting_source { SOURCE_DEFAULT, SOURCE_ENV_FILE, SOURCE_ENVIRONMENT, SOURCE_FLAG };

struct settings {
#define X(member, type, ...) SETTING_MEMBER_##type member;
	SETTINGS(X)
#undef X
	char *given[SETTING_ROWS];    /* values of flags or environment, for reloading; NULL:
	                                 unset */
	uint8_t source[SETTING_ROWS]; /* enum setting_source */
	char *env_path;               /* the configuration file; NULL: none */
	bool env_must_exist;
	char *file;     /* of the command --restore */
	char *warnings; /* lines to log after the log is opened; NULL: none */
};

struct setting {
	const char *name; /* the member's */
	enum setting_type type;
	const char *flag, *environment, *fallback, *words;
	int64_t min, max;
	unsigned flags;
	const char *group, *doc;
	size_t offset; /* in struct settings */
};

extern const struct setting setting_table[SETTING_ROWS];

enum settings_command {
	COMMAND_RUN,
	COMMAND_HELP,
	COMMAND_HELP_MARKDOWN,
	COMMAND_VERSION,
	COMMAND_GENERATE_KEY,
	COMMAND_CHECK_CONFIG,
	COMMAND_CHECK_CONFIG_JSON,
	COMMAND_MIGRATE_ONLY,
	COMMAND_VERIFY,
	COMMAND_VERIFY_JSON,
	COMMAND_RESTORE,
	COMMAND_RESTORE_JSON
};

/* Reads everything. Failure: exit_code 64 (flags) or 78 (environment, file). environment: such as
 * environ. use_env_file: whether `.env` is looked for although no file was named. *settings is
 * freed with settings_free in either case. */
int settings_read(struct settings *settings, int argc, char **argv, char **environment,
	bool use_env_file, enum settings_command *command, struct err *err);
/* Comma-separated names of settings; "": none. */
struct settings_changes {
	char taken[1024], restart[1024];
};

/* Reads the file again and applies the settings that may change; reports them, and those that need
 * a restart. check_next: validates the new settings before any is applied; NULL: none. On failure
 * no setting changes. */
int settings_reload(struct settings *settings,
	int (*check_next)(const struct settings *next, struct err *err),
	struct settings_changes *changes, struct err *err);
void settings_free(struct settings *settings);

/* Formats a stored value for --help and introspection: redacted, in its largest whole unit. Returns
 * out. */
char *settings_value_show(
	const struct settings *settings, enum setting_id id, char *out, size_t size);
char *settings_value_show_number(
	const struct setting *row, uint64_t number, char *out, size_t size);
int settings_value_parse_value(
	const struct setting *row, const char *text, uint64_t *number, struct err *err);

/* The word of a CHOICE at `index`; stores its length in *length, 0: there is none. */
const char *settings_value_choice(const struct setting *row, uint64_t index, size_t *length);

/* settings_text.c: output as text. */
void settings_text_write_help(FILE *out);
void settings_text_write_markdown(FILE *out);
void settings_text_write_config(const struct settings *settings, FILE *out);
void settings_text_write_json(const struct settings *settings, struct buffer *out);
/* The same as an array, each with all that the table says of it. */
void settings_text_write_list(const struct settings *settings, struct buffer *out);
/* A level of syslog.h. */
int settings_log_level(const struct settings *settings);

#endif
