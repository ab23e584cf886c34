/* The types of the generated tables: every method's parameters, statements and answer, as const
 * data.
 *
 * The generator (protocol/generator/) builds `catalog.gen.c` from protocol/catalog/<domain>.toml
 * and backends/<backend>/sql/<domain>.sql. Nothing here is written at run time. */
#ifndef PIERRE_CATALOG_H
#define PIERRE_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "value.h"

enum {
	CATALOG_MAX_VALUES = 32
}; /* max bind parameters of one method; the generator refuses more */
enum { CATALOG_MAX_COLUMNS = 32 }; /* max columns of one row */

enum backend_id { BACKEND_SQLITE, BACKEND_POSTGRES, BACKEND_COUNT };

struct enumeration {
	const char *name;
	const char *const *values; /* NULL-terminated */
};

enum default_kind {
	DEFAULT_NONE, /* no default: the parameter is required, or stays NULL when FIELD_OPTIONAL */
	DEFAULT_INTEGER, /* .integer, also for booleans */
	DEFAULT_REAL,    /* .real */
	DEFAULT_TEXT,    /* .text; for STRINGS a JSON text such as [] */
	DEFAULT_NOW,     /* the time of the call */
	DEFAULT_NEW_UUID,
};

struct default_value {
	enum default_kind kind;
	int64_t integer;
	double real;
	const char *text;
};

enum {
	FIELD_OPTIONAL = 1, /* may be missing or null */
	FIELD_EMAIL = 2,    /* must hold one @ with text around it */
	FIELD_SECRET = 4,   /* never shown in a message or a log */
};

/* A parameter, or a member of a parameter object. */
struct field {
	const char *name;
	const char *path; /* from the params, as in "user.email" */
	uint8_t name_length;
	uint8_t type;     /* enum type */
	uint8_t flags;    /* FIELD_… */
	int8_t bind;      /* index in the call's values; -1: TYPE_OBJECT, and types without a
	                     value: TYPE_ANY, TYPE_NULL, TYPE_CALLS */
	int64_t min, max; /* integers: allowed range; strings: max = max bytes, 0 = no limit */
	struct default_value fallback;
	const struct enumeration *enumeration; /* TYPE_ENUM */
	const struct field *members;           /* TYPE_OBJECT, TYPE_ROWS */
	uint8_t member_count;
	const char *const *exactly_one; /* TYPE_OBJECT: NULL-terminated names, exactly one of which
	                                   must be given; or NULL */
	const struct extract *extracts; /* TYPE_DOCUMENT: values extracted from the document */
	uint8_t extract_count;
};

/* A value extracted from a document parameter: the first of `names` that is present and not null.
 * Any of the names with another type is invalid_params. Without one, the fallback. */
struct extract {
	const char *const *names; /* NULL-terminated */
	uint8_t type;             /* TYPE_STRING or TYPE_F64 */
	int8_t bind;
	struct default_value fallback;
};

/* Values that no client sends, computed when the call begins to run. */
enum compute {
	COMPUTE_NONE,      /* a parameter or an extracted field */
	COMPUTE_NOW,       /* TIMESTAMP: time of the call */
	COMPUTE_NEW_UUID,  /* UUID */
	COMPUTE_NEW_TOKEN, /* STRING: 256 random bits, base64url without padding (43 characters) */
	COMPUTE_MONTH_START,   /* TIMESTAMP: start of now's UTC month */
	COMPUTE_DAYS_START,    /* TIMESTAMP: midnight UTC, `days` (the parameter) days ago */
	COMPUTE_HOURS_AHEAD,   /* TIMESTAMP: now + `expires_in_hours` (the parameter) hours */
	COMPUTE_SECONDS_AHEAD, /* TIMESTAMP: now + `seconds` (the parameter) */
	COMPUTE_NONCE, /* NONCE: produced by sealing the method's two SEALED parameters (access
	                  token, then refresh token) */
	COMPUTE_STORED_TOKEN,   /* STRING: the session token in `source`, in the form in which the
	                           database stores new ones */
	COMPUTE_TOKEN_HASHED,   /* STRING or NULL: the hash of the session token in `source` */
	COMPUTE_TOKEN_UNHASHED, /* STRING or NULL: that token, unless it has the form of a hash,
	                           which must not pass for a token */
	COMPUTE_AWKWARD, /* text or NULL: the DOCUMENT, JSON or IP in bind parameter `source`, if it
	                    is VALUE_AWKWARD */
};

struct bind_param {
	const char *name; /* the placeholder's name in SQL, without the colon */
	uint8_t type;     /* enum type */
	uint8_t compute;  /* enum compute */
	int8_t source;    /* the bind parameter a COMPUTE_… reads (DAYS_START, HOURS_AHEAD,
	                     SECONDS_AHEAD, STORED_TOKEN, TOKEN_…, AWKWARD); -1 */
};

enum {
	MEMBER_NULLABLE = 1,
	MEMBER_HIDDEN = 2, /* a column that is read but not written: TYPE_NONCE */
};

/* A member of an answer object, or (name NULL) a scalar answer's only value. */
struct member {
	const char *name;
	const char *key; /* the text to append: `"name":`; NULL with name */
	uint8_t key_length;
	uint8_t type;
	uint8_t flags;  /* MEMBER_… */
	uint8_t column; /* first column; for TYPE_OBJECT that of its first member, where NULL means
	                   a null object */
	const struct member *members; /* TYPE_OBJECT */
	uint8_t member_count;
};

struct column {
	const char *name; /* the column's name in SQL: "id", "strava_token.expires_at" */
	uint8_t type;
	bool nullable;
};

/* The row schema: its columns in the order of the SQL's column list, and the members written from
 * them. */
struct row_schema {
	const char *name; /* type's name, "" for a scalar */
	const struct member *members;
	uint8_t member_count;
	bool scalar; /* one member without a name */
	const struct column *columns;
	uint8_t column_count;
};

enum answer {
	ANSWER_NONE,  /* result null; the statement must change exactly one row, else not_found */
	ANSWER_COUNT, /* result: number of rows touched */
	ANSWER_ROW,   /* exactly one row, else not_found */
	ANSWER_OPTIONAL, /* one row, or result null */
	ANSWER_LIST,     /* array of rows */
};

enum role { ROLE_NONE, ROLE_READ, ROLE_WRITE, ROLE_FULL, ROLE_ADMIN };

enum impl {
	IMPL_SQL,           /* one statement per backend */
	IMPL_HASH_PASSWORD, /* hashes `password` into the bind parameter `password_hash` when it is
	                       set, then runs SQL */
	IMPL_VERIFY_PASSWORD, /* runs SQL, then compares `password` with the row's column
	                         `password_hash`; null on mismatch */
	IMPL_MIGRATE,         /* the store's migrate operation */
	IMPL_ROTATE_KEY,      /* the store's key rotation */
	IMPL_TRANSACTION,     /* runs other methods in one transaction */
	IMPL_POSITION,        /* runs SQL when the calls before it are committed */
	IMPL_DAEMON,          /* answered by the daemon itself */
	IMPL_WAIT, /* the same, in the order of the connection's calls: those behind it wait */
};

/* How a PostgreSQL statement uses a table; tables are numbered in the order of their creation. */
enum table_use_mode { USE_READ, USE_UPDATE, USE_INSERT };

struct table_use {
	uint8_t table;
	uint8_t mode;       /* enum table_use_mode */
	uint8_t key_count;  /* the row's unique keys whose values are known to the call; 0: any row
	                     */
	uint8_t keys[2];    /* their numbers within the table */
	int8_t binds[2][2]; /* and the bind parameters of their columns; -1: no second column */
};

/* The row locks of a PostgreSQL statement, kept until its transaction ends. */
enum lock {
	LOCK_NONE, /* it locks no rows */
	LOCK_ROW,  /* of one key */
	LOCK_MANY, /* of many rows, in the order of their key */
};

struct statement {
	const char *sql; /* NULL: the method has none. SQLite: ?1…; PostgreSQL: $1::type… */
	const uint8_t *binds; /* binds[k] is bound to parameter k+1 */
	uint8_t bind_count;
	const char
		*many; /* PostgreSQL, look-ups by one key: the statement for an array of keys, $1.
	                  Each row has an extra column with its key's index, from 1. NULL: none */
	const char *once; /* PostgreSQL, writes whose answer is known before they run: the statement
	                     as the common table expression `done`, its parameters from $6 on,
	                     before the INSERT of its idempotency key. NULL: none */
	int8_t once_bind; /* the bind parameter that is the answer; -1: the answer is null, or the
	                     number of the rows */
	const struct table_use *uses; /* PostgreSQL, as all below: the tables used, including the
	                                 parents of its foreign keys */
	uint8_t use_count;
	uint32_t reads, writes; /* their tables, as bits */
	uint8_t lock;           /* enum lock */
	uint8_t rank;           /* all daemons lock by rank, then by key */
	int8_t lock_binds[2];   /* LOCK_ROW: the bind parameters of the key's columns; -1: no second
	                           column */
};

/* A unique key that a call's row may violate, and the parameter that the error then names. */
struct conflict {
	const char *names[BACKEND_COUNT]; /* SQLite: its columns, `api_keys.user_id, api_keys.name`;
	                                     PostgreSQL: the constraint */
	uint8_t bind;
};

struct method {
	const char *name;
	uint8_t name_length;
	uint8_t index;   /* position in catalog_methods */
	uint8_t role;    /* minimum enum role that may call it */
	uint8_t impl;    /* enum impl */
	bool write;      /* changes the database */
	bool keyed;      /* a write that takes an idempotency key */
	bool causal;     /* a read that a standby may answer (docs/postgresql.md) */
	bool short_read; /* a bounded look-up by key: may run on the loop's own connection */
	bool touches;    /* a read that at times also writes: it runs where writes run, but for its
	                    `fast` statement */
	uint8_t fast;    /* SQLite, index in catalog_methods: a read that answers the call if it
	                    finds a row; 0: none */
	uint8_t steps, step_count; /* SQLite, the same: statements that run before the method's own
	                              one; their rows are not read */
	uint8_t answer;            /* enum answer */
	const struct field *params;
	uint8_t param_count;
	const struct bind_param *binds;
	uint8_t bind_count;
	const char *guard; /* what the conflict names when unexpected() fails its SQL; NULL: none */
	uint8_t row_binds; /* a write of many rows: the first so many bind parameters hold a row's
	                      values, the next one TYPE_ROWS. SQLite runs the statement for each
	                      row; PostgreSQL takes arrays, and answers with the place, from 1,
	                      and member of the first row without a parent. 0: none */
	const char *subject; /* the parameters that not_found names: "user_id", "client_id or
	                        user_id" */
	int8_t subject_bind; /* the bind parameter whose value that message may show; -1: none
	                        (several, or secret) */
	int8_t after_bind;   /* the bind parameter with the row behind which a page begins; a row of
	                        NULLs in the answer says that it is not in the list. -1: none */
	const struct conflict *conflicts;
	uint8_t conflict_count;
	int8_t password_bind;       /* the bind parameter to hash or compare; -1: none */
	int8_t hash_bind;           /* the bind parameter for its hash; -1: none */
	int8_t hash_column;         /* the row's column to compare it with; -1: none */
	int8_t token_user_bind;     /* a method that seals or opens a token: its user, … */
	int8_t token_provider_bind; /* … and its provider, unless it is the same for all calls; -1:
	                               none */
	const char *token_provider;          /* the same for all calls; NULL: none */
	const struct row_schema *row_schema; /* NULL for ANSWER_NONE and ANSWER_COUNT */
	const char *table; /* the table whose stored values its rows show; NULL: none */
	struct statement statements[BACKEND_COUNT];
	const char *doc;
};

/* Further statements of the methods follow those that callers can name. */
extern const struct method catalog_methods[];
extern const size_t catalog_method_count;
extern const size_t catalog_statement_count; /* with those that follow */
extern const char catalog_openrpc[];         /* the whole OpenRPC document, one line of JSON */
extern const size_t catalog_openrpc_length;
extern const size_t catalog_identifier_max; /* max bytes of an `identifier` */
extern const unsigned catalog_calls_max;    /* max calls of a transaction */
extern const char catalog_version[];        /* of the interface: `protocol` in daemon.version */

/* A service whose OAuth tokens are stored, in five columns of `users`: `<name>_access_token`,
 * `…_refresh_token`, `…_expires_at`, `…_scope` and `…_nonce`. A token is present only when none of
 * them is null. */
struct token_provider {
	const char *name;  /* "strava" */
	const char *title; /* "Strava" */
};

extern const struct token_provider catalog_providers[]; /* ends with a NULL name */

static inline bool method_may_write(const struct method *method)
{
	return method->write || method->touches;
}

/* NULL when there is none. Uses a search that the generator builds. */
const struct method *catalog_find(const char *name, size_t length);

#endif
