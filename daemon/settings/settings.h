/* The daemon's settings: one table row each, from which the struct, parsing, --help, its Markdown
 * form and introspection come.
 *
 * A value comes from the flag, else the environment, else the `.env` file, else the default; an
 * empty one counts as not given. Numbers are kept in the smallest unit (bytes, milliseconds).
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
	SETTING_URL,    /* a text whose password is never shown */
	SETTING_SECRET, /* a text that is never shown; no flag, since flags show in the process list
	                 */
	SETTING_BOOL,   /* --name, --no-name, --name=yes|no */
	SETTING_COUNT,
	SETTING_BYTES,  /* 64KiB, 1MiB, 1000 */
	SETTING_TIME,   /* 500ms, 30s, 5m, 1h, 30 (seconds) */
	SETTING_MODE,   /* octal; 0 = not set */
	SETTING_CHOICE, /* an index into the row's words */
};

enum { SETTING_RELOAD = 1 }; /* SIGHUP takes a new value */

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)

/* X(member, type, flag, environment, default, words, min, max, flags, group, what it is). flag
 * NULL: no flag. words: of a CHOICE what it may be, with | between; of a TEXT what --help calls it;
 * NULL: TEXT. A SECRET, and the password of a URL, are hidden wherever the table is read. */
#define SETTINGS(X)                                                                                                                               \
	X(database_url, URL, "database-url", "DATABASE_URL", "sqlite:./data/pierre.db", NULL, 0,                                                  \
		0, 0, "Database",                                                                                                                 \
		"sqlite:PATH (%xx is decoded; ?mode=rw: it must exist), sqlite::memory: or postgresql://USER:PASSWORD@HOST:PORT/DATABASE")        \
	X(migrate, BOOL, "migrate", "PIERRE_DBD_MIGRATE", "yes", NULL, 0, 1, 0, "Database",                                                       \
		"bring the schema up to date at start; --no-migrate refuses one that is not current")                                             \
	X(wait_for_database, TIME, "wait-for-database", "PIERRE_DBD_WAIT_FOR_DATABASE", "0", NULL,                                                \
		0, 24 * HOUR, 0, "Database", "PostgreSQL: keep trying for so long at start")                                                      \
	X(sqlite_readers, COUNT, "sqlite-readers", "PIERRE_DBD_SQLITE_READERS", "0", NULL, 0, 64,                                                 \
		0, "Database", "SQLite: threads that read; 0 = one for each processor, 2 to 8")                                                   \
	X(checkpoint_pages, COUNT, "checkpoint-pages", "PIERRE_DBD_CHECKPOINT_PAGES", "1000",                                                     \
		NULL, 10, 1000000, 0, "Database",                                                                                                 \
		"SQLite: pages in the WAL before it is checkpointed")                                                                             \
	X(batch, COUNT, "batch", "PIERRE_DBD_BATCH", "1024", NULL, 1, 4096, 0, "Database",                                                        \
		"most calls that share one transaction or pipeline turn")                                                                         \
	X(pool, COUNT, "pool", "PIERRE_DBD_POOL", "8", NULL, 1, 128, 0, "Database",                                                               \
		"PostgreSQL: most connections")                                                                                                   \
	X(pool_min, COUNT, "pool-min", "PIERRE_DBD_POOL_MIN", "1", NULL, 1, 128, 0, "Database",                                                   \
		"PostgreSQL: connections that are kept when idle")                                                                                \
	X(pool_queue, COUNT, "pool-queue", "PIERRE_DBD_POOL_QUEUE", "100000", NULL, 1, 10000000,                                                  \
		0, "Database", "most calls that wait for a connection")                                                                           \
	X(connect_timeout, TIME, "connect-timeout", "PIERRE_DBD_CONNECT_TIMEOUT", "5s", NULL, 10,                                                 \
		HOUR, 0, "Database",                                                                                                              \
		"PostgreSQL: time for one attempt to connect to a host, in whole seconds, at least 2")                                            \
	X(acquire_timeout, TIME, "acquire-timeout", "PIERRE_DBD_ACQUIRE_TIMEOUT", "5s", NULL, 10,                                                 \
		HOUR, 0, "Database", "PostgreSQL: longest wait of a call for a connection")                                                       \
	X(idle_timeout, TIME, "idle-timeout", "PIERRE_DBD_IDLE_TIMEOUT", "10m", NULL, SECOND,                                                     \
		24 * HOUR, 0, "Database", "PostgreSQL: an idle connection is closed after that")                                                  \
	X(connection_lifetime, TIME, "connection-lifetime", "PIERRE_DBD_CONNECTION_LIFETIME",                                                     \
		"1h", NULL, SECOND, 720 * HOUR, 0, "Database",                                                                                    \
		"PostgreSQL: a connection is replaced after that")                                                                                \
	X(prepared_statements, BOOL, "prepared-statements", "PIERRE_DBD_PREPARED_STATEMENTS",                                                     \
		"yes", NULL, 0, 1, 0, "Database",                                                                                                 \
		"PostgreSQL: prepare statements by name, unless a pooler such as PgBouncer is found to stand before the server")                  \
                                                                                                                                                  \
	X(encryption_key, SECRET, NULL, "ENCRYPTION_KEY", "", NULL, 0, 0, 0, "Key",                                                               \
		"the key that tokens are sealed with: 32 bytes in base64 (see --generate-key)")                                                   \
	X(encryption_key_file, TEXT, "encryption-key-file", "ENCRYPTION_KEY_FILE", "", "FILE", 0,                                                 \
		0, 0, "Key",                                                                                                                      \
		"a file that holds it, readable by its owner alone; without one, $CREDENTIALS_DIRECTORY/encryption_key is looked for")            \
	X(previous_encryption_key, SECRET, NULL, "PREVIOUS_ENCRYPTION_KEY", "", NULL, 0, 0, 0,                                                    \
		"Key",                                                                                                                            \
		"the key that was in use before, while the key is being changed: it opens what is sealed with it, and seals nothing")             \
	X(previous_encryption_key_file, TEXT, "previous-encryption-key-file",                                                                     \
		"PREVIOUS_ENCRYPTION_KEY_FILE", "", "FILE", 0, 0, 0, "Key",                                                                       \
		"a file that holds it; without one, $CREDENTIALS_DIRECTORY/previous_encryption_key is looked for")                                \
	X(lock_key_memory, BOOL, "lock-key-memory", "PIERRE_DBD_LOCK_KEY_MEMORY", "no", NULL, 0,                                                  \
		1, 0, "Key", "do not start when the key's memory cannot be locked")                                                               \
	X(password_threads, COUNT, "password-threads", "PIERRE_DBD_PASSWORD_THREADS", "2", NULL,                                                  \
		1, 64, 0, "Key", "threads that hash and check passwords")                                                                         \
	X(password_queue, COUNT, "password-queue", "PIERRE_DBD_PASSWORD_QUEUE", "1024", NULL, 1,                                                  \
		1000000, 0, "Key",                                                                                                                \
		"most passwords that wait for them; beyond, calls are `unavailable`")                                                             \
	X(bcrypt_cost, COUNT, "bcrypt-cost", "PIERRE_DBD_BCRYPT_COST", "12", NULL,                                                                \
		PASSWORD_COST_MIN, PASSWORD_COST_MAX, 0, "Key",                                                                                   \
		"work of a new password hash, as a power of two")                                                                                 \
	X(bcrypt_cost_limit, COUNT, "bcrypt-cost-limit", "PIERRE_DBD_BCRYPT_COST_LIMIT", "15",                                                    \
		NULL, PASSWORD_COST_MIN, PASSWORD_COST_MAX, 0, "Key",                                                                             \
		"stored hashes of a higher cost match nothing; each check costs as much as the costliest hash within it")                         \
                                                                                                                                                  \
	X(socket, TEXT, "socket", "PIERRE_DBD_SOCKET", "", "PATH", 0, 0, 0, "Clients",                                                            \
		"where to listen; default $RUNTIME_DIRECTORY/pierre-dbd.sock, else $XDG_RUNTIME_DIR/pierre-dbd.sock, \
"                            \
		"else /tmp/pierre-dbd-<uid>/pierre-dbd.sock")                                                                                     \
	X(socket_mode, MODE, "socket-mode", "PIERRE_DBD_SOCKET_MODE", "", NULL, 0, 0777, 0,                                                       \
		"Clients",                                                                                                                        \
		"the socket's permissions; default 0660 in $RUNTIME_DIRECTORY, else 0600")                                                        \
	X(default_role, CHOICE, "default-role", "PIERRE_DBD_DEFAULT_ROLE", "full",                                                                \
		"none|read|write|full|admin", 0, 0, SETTING_RELOAD, "Clients",                                                                    \
		"role of peers that no rule names; root and the daemon's user are admin")                                                         \
	X(access, TEXT, "access", "PIERRE_DBD_ACCESS", "", "RULES", 0, 0, SETTING_RELOAD,                                                         \
		"Clients",                                                                                                                        \
		"rules such as user:alice=read,group:ops=admin; a user's rule wins over its groups'")                                             \
	X(connections, COUNT, "connections", "PIERRE_DBD_CONNECTIONS", "1024", NULL, 1, 100000,                                                   \
		SETTING_RELOAD, "Clients", "most connections")                                                                                    \
	X(admin_connections, COUNT, "admin-connections", "PIERRE_DBD_ADMIN_CONNECTIONS", "0",                                                     \
		NULL, 0, 32, SETTING_RELOAD, "Clients",                                                                                           \
		"connections beyond these, and beyond those of one user, that only the role admin gets, so that it can look at a crowded daemon") \
	X(connections_per_user, COUNT, "connections-per-user", "PIERRE_DBD_CONNECTIONS_PER_USER",                                                 \
		"0", NULL, 0, 100000, SETTING_RELOAD, "Clients",                                                                                  \
		"most connections of one user; 0 = no limit of its own")                                                                          \
	X(line_limit, BYTES, "line-limit", "PIERRE_DBD_LINE_LIMIT", "1MiB", NULL, KIB, 256 * MIB,                                                 \
		SETTING_RELOAD, "Clients", "longest line")                                                                                        \
	X(batch_limit, COUNT, "batch-limit", "PIERRE_DBD_BATCH_LIMIT", "1000", NULL, 1, 1000000,                                                  \
		SETTING_RELOAD, "Clients", "most calls of one JSON-RPC batch")                                                                    \
	X(depth_limit, COUNT, "depth-limit", "PIERRE_DBD_DEPTH_LIMIT", "64", NULL, 4,                                                             \
		JSON_DEPTH_MAX, SETTING_RELOAD, "Clients", "deepest nesting of a JSON text")                                                      \
	X(answer_limit, BYTES, "answer-limit", "PIERRE_DBD_ANSWER_LIMIT", "16MiB", NULL, KIB,                                                     \
		1024 * MIB, SETTING_RELOAD, "Clients",                                                                                            \
		"largest answer; the answers of a batch count together")                                                                          \
	X(in_flight_limit, COUNT, "in-flight-limit", "PIERRE_DBD_IN_FLIGHT_LIMIT", "256", NULL, 1,                                                \
		100000, SETTING_RELOAD, "Clients",                                                                                                \
		"unfinished calls of one connection before its reading pauses")                                                                   \
	X(unsent_limit, BYTES, "unsent-limit", "PIERRE_DBD_UNSENT_LIMIT", "8MiB", NULL, KIB,                                                      \
		1024 * MIB, SETTING_RELOAD, "Clients",                                                                                            \
		"answers that one connection has not taken before its reading pauses")                                                            \
	X(memory_limit, BYTES, "memory-limit", "PIERRE_DBD_MEMORY_LIMIT", "64MiB", NULL, MIB,                                                     \
		1024 * 1024 * MIB, SETTING_RELOAD, "Clients",                                                                                     \
		"memory held for all clients: lines, calls, batches and answers; a connection that holds more than is free of it pauses")         \
	X(line_timeout, TIME, "line-timeout", "PIERRE_DBD_LINE_TIMEOUT", "30s", NULL, 10, HOUR,                                                   \
		SETTING_RELOAD, "Clients",                                                                                                        \
		"a line that is begun and not ended by then ends the connection")                                                                 \
	X(busy_poll, COUNT, "busy-poll", "PIERRE_DBD_BUSY_POLL", "100", NULL, 0, 1000, 0,                                                         \
		"Clients",                                                                                                                        \
		"microseconds to look for the next call or answer before sleeping, while one comes right after the other; 0 = sleep at once")     \
	X(write_timeout, TIME, "write-timeout", "PIERRE_DBD_WRITE_TIMEOUT", "30s", NULL, 10, HOUR,                                                \
		SETTING_RELOAD, "Clients",                                                                                                        \
		"a client that takes nothing of its answers for so long is disconnected")                                                         \
	X(call_timeout, TIME, "call-timeout", "PIERRE_DBD_CALL_TIMEOUT", "30s", NULL, 10, HOUR,                                                   \
		SETTING_RELOAD, "Clients", "time for one call")                                                                                   \
                                                                                                                                                  \
	X(drain_timeout, TIME, "drain-timeout", "PIERRE_DBD_DRAIN_TIMEOUT", "10s", NULL, 0, HOUR,                                                 \
		SETTING_RELOAD, "Operation", "how long a stop waits for calls that are under way")                                                \
	X(log_level, CHOICE, "log-level", "PIERRE_DBD_LOG_LEVEL", "info",                                                                         \
		"error|warning|notice|info|debug", 0, 0, SETTING_RELOAD, "Operation",                                                             \
		"the least severe level that is logged")                                                                                          \
	X(slow_call, TIME, "slow-call", "PIERRE_DBD_SLOW_CALL", "1s", NULL, 0, HOUR,                                                              \
		SETTING_RELOAD, "Operation",                                                                                                      \
		"calls that take longer are logged, without their parameters; 0 = none")                                                          \
	X(env_file, TEXT, "env-file", "PIERRE_DBD_ENV_FILE", "", "FILE", 0, 0, 0, "Operation",                                                    \
		"a file of KEY=VALUE lines; default .env in the working folder, if it is there and systemd did not start the daemon")

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
	char *given[SETTING_ROWS];    /* what flag or environment said, kept for reloading; NULL:
	                                 nothing */
	uint8_t source[SETTING_ROWS]; /* enum setting_source */
	char *env_path;               /* the file that is read and read again; NULL: none */
	bool env_must_exist;
	char *file;     /* of the command --restore */
	char *warnings; /* lines to log once the log runs; NULL: none */
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
/* Names of settings, with commas between; "": none. */
struct settings_changes {
	char taken[1024], restart[1024];
};

/* Reads the file again and takes what may change; tells what was taken, and what differs and needs
 * a restart. check_next: looks at the new settings before any is taken; NULL: none. Failure:
 * nothing is taken. */
int settings_reload(struct settings *settings,
	int (*check_next)(const struct settings *next, struct err *err),
	struct settings_changes *changes, struct err *err);
void settings_free(struct settings *settings);

/* The stored value as --help and introspection show it: redacted, in its largest whole unit.
 * Returns out. */
char *settings_value_show(
	const struct settings *settings, enum setting_id id, char *out, size_t size);
char *settings_value_show_number(
	const struct setting *row, uint64_t number, char *out, size_t size);
int settings_value_parse_value(
	const struct setting *row, const char *text, uint64_t *number, struct err *err);

/* The word of a CHOICE that `index` stands for; its length in *length, 0: there is none. */
const char *settings_value_choice(const struct setting *row, uint64_t index, size_t *length);

/* settings_text.c: texts for people and programs. */
void settings_text_write_help(FILE *out);
void settings_text_write_markdown(FILE *out);
void settings_text_write_config(const struct settings *settings, FILE *out);
void settings_text_write_json(const struct settings *settings, struct buffer *out);
/* The same as an array, each with all that the table says of it. */
void settings_text_write_list(const struct settings *settings, struct buffer *out);
/* A level of syslog.h. */
int settings_log_level(const struct settings *settings);

#endif
