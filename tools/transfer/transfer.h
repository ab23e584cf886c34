/* pierre-transfer: a whole installation from one database to another, SQLite or PostgreSQL on
 * either side.
 *
 * Tables are data (tables.c): each column has a canonical form, which both ends read and write;
 * what is written is read again and compared by count and checksum before it is committed. The
 * source is read in one snapshot and never written; the target gets everything in one transaction,
 * so that a transfer that was cut off leaves an empty target. One thread; memory does not grow with
 * the rows, but for about a hundred bytes for each API key and agent when the target is PostgreSQL.
 */
#ifndef PIERRE_TRANSFER_H
#define PIERRE_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "../../backends/seal.h"
#include "../../protocol/arena.h"
#include "../../protocol/catalog.h"
#include "../../protocol/error.h"

enum kind {
	COLUMN_TEXT,
	COLUMN_UUID, /* lower case, with hyphens */
	COLUMN_TIME, /* µs since 1970 */
	COLUMN_INTEGER,
	COLUMN_REAL, /* finite */
	COLUMN_BOOL,
	COLUMN_STRINGS, /* compact JSON array of strings; TEXT[] in PostgreSQL */
	COLUMN_JSON,    /* any JSON; JSONB with an exact text beside it in PostgreSQL */
	COLUMN_IP, /* an address in canonical form, or whatever else an old row holds, as it is:
	              ip_text in PostgreSQL */
	COLUMN_API_KEY, /* an API key's id; its number in PostgreSQL */
	COLUMN_CLIENT,  /* an agent's id; its number in PostgreSQL */
};

struct column_of {
	const char *name;
	enum kind kind;
	bool nullable;
	bool identifier;      /* in a unique key or looked up: PostgreSQL holds
	                         catalog_identifier_max bytes of it */
	const char *sqlite;   /* what is selected there; NULL: the column */
	const char *stored;   /* the column's name in SQLite when it is another */
	const char *set;      /* what is inserted there, with ? for the value; NULL: the value */
	const char *postgres; /* the column's name in PostgreSQL when it is another */
};

/* A bind parameter of a catalog method, and the column whose value goes there. */
struct bind_from {
	const char *slot, *column;
};

struct table_of {
	const char *name;
	const struct column_of *columns;
	unsigned column_count;
	bool numbered; /* PostgreSQL: rows have a number that others refer to */
	bool identity; /* the id goes on counting from the largest */
	/* SQLite: rows with a document are written by the catalog's own statement, which fills the
	 * old server's columns from it, … */
	const char *method;
	struct bind_from binds[9];
	const char *after; /* … then this, with :column */
	/* … and where an old row has no document, this method's answer for the same user holds what
	 * it would be. */
	const char *reader;
};

enum { TABLE_COLUMNS_MAX = 24 };

enum { VALUE_ADDRESS = 2 }; /* flag of a value: an address in canonical form */

extern const struct table_of
	transfer_tables[]; /* parents before children; ends with a row without a name */

/* A database. All functions: 0 (next: 1 for a row), or -1 with err->exit_code. */
struct end {
	const struct end_ops *ops;
	const char *shown; /* its URL without a password */
	struct seal *seal;
	int64_t refused; /* `written` failed for what stands in this row, counted from 1; 0: for
	                    another reason */
};

struct end_ops {
	int (*count)(struct end *end, const struct table_of *table, int64_t *rows, struct err *err);
	int (*read)(struct end *end, const struct table_of *table, struct err *err);
	/* The raw values of the next row; texts are valid until the next one, or in the arena. */
	int (*next)(struct end *end, const struct table_of *table, struct value *values,
		struct arena *arena, struct err *err);
	int (*write)(struct end *end, const struct table_of *table, struct err *err);
	int (*put)(struct end *end, const struct table_of *table, const struct value *values,
		struct err *err);
	int (*written)(struct end *end, const struct table_of *table, struct err *err);
	int (*commit)(struct end *end, struct err *err);
	void (*close)(struct end *end);
};

/* Opens for reading in one snapshot, or for writing in one transaction, with the current schema and
 * the key proved. A target is touched only once it is known to be empty. */
int sqlite_end_open(
	struct end **ret, const char *url, bool target, struct seal *seal, struct err *err);
int postgres_end_open(
	struct end **ret, const char *url, bool target, struct seal *seal, struct err *err);
int main_schema_must_be(int64_t version, int64_t known, const char *shown, struct err *err);
/* Of each table of a target, before it gets the current schema: none must be there when it has no
 * schema yet (then they are somebody else's, or an older server's), and none must have rows. */
int main_table_must_be_empty(int64_t version, const char *name, int64_t rows, struct err *err);

/* row.c */
struct checksum {
	int64_t rows;
	unsigned __int128 sum; /* of the rows' digests: their order does not matter */
};

/* Brings a row's raw values into their canonical form, or says what is wrong with which row. */
int row_normalize(const struct table_of *table, struct value *values, struct arena *arena,
	const char *shown, struct err *err);
void row_checksum_add(struct checksum *checksum, const struct table_of *table,
	const struct value *values, struct arena *arena);
/* table `users`: both tokens, where they are whole, open with the key. */
int row_open_tokens(const struct table_of *table, const struct value *values, struct seal *seal,
	struct arena *arena, uint64_t *opened, struct err *err);
int row_fail(const struct table_of *table, const struct value *values, const char *shown,
	struct err *err, const char *format, ...) __attribute__((format(printf, 5, 6)));
int row_column_place(const struct table_of *table,
	const char *name); /* index; a name that is not there is an own bug */

/* refs.c: ids and the numbers that stand for them. */
struct refs {
	struct ref *binds;
	size_t size, count;
};

bool refs_add(struct refs *refs, const char *id, size_t length, int64_t number);
int64_t refs_find(const struct refs *refs, const char *id, size_t length); /* 0: none */
void refs_free(struct refs *refs);

#endif
