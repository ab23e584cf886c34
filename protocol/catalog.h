/* The row schemas that the generated tables fill: every method's parameters, statements and answer,
 * as const data.
 *
 * The generator (protocol/generator/) makes `catalog.gen.c` from
 * protocol/catalog/<domain>.toml and backends/<backend>/sql/<domain>.sql. Nothing here is written
 * at run time. */
#ifndef PIERRE_CATALOG_H
#define PIERRE_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "value.h"

enum { CATALOG_MAX_VALUES = 32 };  /* bind parameters of one method; the generator refuses more */
enum { CATALOG_MAX_COLUMNS = 32 }; /* columns of one row */

enum backend_id { BACKEND_SQLITE, BACKEND_POSTGRES, BACKEND_COUNT };

struct enumeration {
	const char *name;
	const char *const *values; /* NULL-terminated */
};

enum default_kind {
	DEFAULT_NONE, /* no value: the parameter is required, or stays NULL when FIELD_OPTIONAL */
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
	FIELD_SECRET = 4,   /* never in a message or a log */
};

/* A parameter, or a member of a parameter object. */
struct field {
	const char *name;
	const char *path; /* from the params on: "user.email" */
	uint8_t name_length;
	uint8_t type;     /* enum type */
	uint8_t flags;    /* FIELD_… */
	int8_t bind;      /* index in the call's values; -1: TYPE_OBJECT, TYPE_ANY, TYPE_NULL */
	int64_t min, max; /* integers: allowed range; strings: max = most bytes, 0 = no limit */
	struct default_value fallback;
	const struct enumeration *enumeration; /* TYPE_ENUM */
	const struct field *members;           /* TYPE_OBJECT */
	uint8_t member_count;
	const char *const *exactly_one; /* TYPE_OBJECT: NULL-terminated names of which one must be
	                                   given; or NULL */
	const struct extract *extracts; /* TYPE_DOCUMENT: values taken out of the document */
	uint8_t extract_count;
};

/* A value taken out of a document parameter: the first of `names` that is present and not null, of
 * the given type (any of the names with another type is invalid_params), else the fallback. */
struct extract {
	const char *const *names; /* NULL-terminated */
	uint8_t type;             /* TYPE_STRING or TYPE_F64 */
	int8_t bind;
	struct default_value fallback;
};

/* Values that no client sends: made when the call begins to run. */
enum compute {
	COMPUTE_NONE,      /* a parameter or a extracted field */
	COMPUTE_NOW,       /* TIMESTAMP: time of the call */
	COMPUTE_NEW_UUID,  /* UUID */
	COMPUTE_NEW_TOKEN, /* STRING: 256 random bits, base64url without padding (43 characters) */
	COMPUTE_MONTH_START, /* TIMESTAMP: start of now's UTC month */
	COMPUTE_DAYS_START,  /* TIMESTAMP: midnight UTC, `days` (the parameter) days ago */
	COMPUTE_HOURS_AHEAD, /* TIMESTAMP: now + `expires_in_hours` (the parameter) hours */
	COMPUTE_NONCE,   /* NONCE: made by sealing the method's two SEALED parameters (access token,
	                    then refresh token) */
	COMPUTE_AWKWARD, /* text or NULL: the DOCUMENT, JSON or IP in bind parameter `source`, when
	                    it is VALUE_AWKWARD */
};

struct bind_param {
	const char *name; /* the placeholder's name in SQL, without the colon */
	uint8_t type;     /* enum type */
	uint8_t compute;  /* enum compute */
	int8_t source; /* the bind parameter a COMPUTE_… reads (DAYS_START, HOURS_AHEAD, AWKWARD);
	                  -1 */
};

enum {
	MEMBER_NULLABLE = 1,
	MEMBER_HIDDEN = 2, /* a column that is fetched but not written: TYPE_NONCE */
};

/* A member of an answer object, or (name NULL) a scalar answer's only value. */
struct member {
	const char *name;
	const char *key; /* what the writer appends: `"name":`; NULL with name */
	uint8_t key_length;
	uint8_t type;
	uint8_t flags;  /* MEMBER_… */
	uint8_t column; /* first column; for TYPE_OBJECT its first member's: NULL there means the
	                   object is null */
	const struct member *members; /* TYPE_OBJECT */
	uint8_t member_count;
};

struct column {
	const char *name; /* as the SQL must name it: "id", "strava_token.expires_at" */
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
	ANSWER_NONE,     /* result null; the statement must touch exactly one row, else not_found */
	ANSWER_COUNT,    /* result: number of rows touched */
	ANSWER_ROW,      /* exactly one row, else not_found */
	ANSWER_OPTIONAL, /* one row, or result null */
	ANSWER_LIST,     /* array of rows */
};

enum role { ROLE_NONE, ROLE_READ, ROLE_WRITE, ROLE_FULL, ROLE_ADMIN };

enum impl {
	IMPL_SQL,           /* one statement per backend */
	IMPL_HASH_PASSWORD, /* SQL, after bcrypt of the `password` parameter into the bind parameter
	                       `password_hash` when it is set */
	IMPL_VERIFY_PASSWORD, /* SQL, then bcrypt of `password` against the row's column
	                         `password_hash`; null on mismatch */
	IMPL_MIGRATE,         /* the store's migrate operation */
	IMPL_ROTATE_KEY,      /* the store's operation that changes the key */
	IMPL_DAEMON,          /* answered by the daemon itself */
};

/* What a PostgreSQL statement does to a table; tables are numbered in the order of their creation.
 */
enum table_use_mode { USE_READ, USE_UPDATE, USE_INSERT };

struct table_use {
	uint8_t table;
	uint8_t mode;       /* enum table_use_mode */
	uint8_t key_count;  /* unique keys of the one row whose values the call knows; 0: any row */
	uint8_t keys[2];    /* their numbers within the table */
	int8_t binds[2][2]; /* and the bind parameters of their columns; -1: no second column */
};

/* The row locks of a PostgreSQL statement, kept until its transaction ends. */
enum lock {
	LOCK_NONE, /* it waits for nobody */
	LOCK_ROW,  /* of one key */
	LOCK_MANY, /* of many rows, in the order of their key */
};

struct statement {
	const char *sql; /* NULL: the method has none. SQLite: ?1…; PostgreSQL: $1::type… */
	const uint8_t *binds; /* binds[k] is bound to parameter k+1 */
	uint8_t bind_count;
	const char
		*many; /* PostgreSQL, look-ups by one key: the same for an array of keys, $1; each
	                  row has its key's place, from 1, in a column more. NULL: there is none */
	const struct table_use *uses; /* PostgreSQL, as all below: what it touches, the parents of
	                                 its foreign keys included */
	uint8_t use_count;
	uint32_t reads, writes; /* their tables, as bits */
	uint8_t lock;           /* enum lock */
	uint8_t rank;           /* all daemons lock in the order of rank, then key */
	int8_t lock_binds[2];   /* LOCK_ROW: the bind parameters of the key's columns; -1: no second
	                           column */
};

/* A unique key that a call's row may meet, and the parameter that the error names then. */
struct conflict {
	const char *names[BACKEND_COUNT]; /* SQLite: its columns, `api_keys.user_id, api_keys.name`;
	                                     PostgreSQL: the constraint */
	uint8_t bind;
};

struct method {
	const char *name;
	uint8_t name_length;
	uint8_t index;   /* position in catalog_methods */
	uint8_t role;    /* least enum role that may call it */
	uint8_t impl;    /* enum impl */
	bool write;      /* changes the database */
	bool short_read; /* a bounded look-up by key: may run on the loop's own connection */
	uint8_t answer;  /* enum answer */
	const struct field *params;
	uint8_t param_count;
	const struct bind_param *binds;
	uint8_t bind_count;
	const char *
		subject; /* parameters that not_found is about: "user_id", "client_id or user_id" */
	int8_t subject_bind; /* the bind parameter whose value may be told in that message; -1: none
	                        (several, or secret) */
	const struct conflict *conflicts;
	uint8_t conflict_count;
	int8_t password_bind; /* the bind parameter that is hashed or compared; -1: none */
	int8_t hash_bind;     /* the one that its hash goes to; -1: none */
	int8_t hash_column;   /* the row's column that it is compared with; -1: none */
	const struct row_schema *row_schema; /* NULL for ANSWER_NONE and ANSWER_COUNT */
	const char *table;                   /* whose stored values its rows show; NULL: none */
	struct statement statements[BACKEND_COUNT];
	const char *doc;
};

extern const struct method catalog_methods[];
extern const size_t catalog_method_count;
extern const char catalog_openrpc[]; /* the whole OpenRPC document, one line of JSON */
extern const size_t catalog_openrpc_length;
extern const size_t catalog_identifier_max; /* most bytes of an `identifier` */
extern const char catalog_version[]; /* of the interface: what daemon.version calls `protocol` */

/* A service whose OAuth tokens are stored. Its five columns of `users` are `<name>_access_token`,
 * `…_refresh_token`, `…_expires_at`, `…_scope` and `…_nonce`; a token is present only when none of
 * them is null. */
struct token_provider {
	const char *name;  /* "strava" */
	const char *title; /* "Strava" */
};

extern const struct token_provider catalog_providers[]; /* ends with a NULL name */

/* NULL when there is none. A perfect hash or binary search made by the generator. */
const struct method *catalog_find(const char *name, size_t length);

#endif
