/* The transferred tables, as data: each column has a canonical form, which both ends read and
 * write. */
#ifndef PIERRE_TRANSFER_TABLES_H
#define PIERRE_TRANSFER_TABLES_H

#include <stdbool.h>

#include "../../protocol/buffer.h"
#include "../../protocol/catalog.h"

enum kind {
	COLUMN_TEXT,
	COLUMN_UUID, /* lower case, with hyphens */
	COLUMN_TIME, /* µs since 1970 */
	COLUMN_INTEGER,
	COLUMN_REAL, /* finite */
	COLUMN_BOOL,
	COLUMN_STRINGS, /* compact JSON array of strings; TEXT[] in PostgreSQL */
	COLUMN_JSON,    /* any JSON; JSONB with an exact text beside it in PostgreSQL */
	COLUMN_IP,      /* an address in canonical form, or any other text of an old row, unchanged:
	                   ip_text in PostgreSQL */
	COLUMN_API_KEY, /* an API key's id; its number in PostgreSQL */
	COLUMN_CLIENT,  /* an agent's id; its number in PostgreSQL */
};

struct column_of {
	const char *name;
	enum kind kind;
	bool nullable;
	bool identifier;      /* in a unique key or looked up: PostgreSQL limits it to
	                         catalog_identifier_max bytes */
	const char *sqlite;   /* the expression selected; NULL: the column */
	const char *stored;   /* the column's name in SQLite if different */
	const char *set;      /* the expression inserted, with ? for the value; NULL: the value */
	const char *postgres; /* the column's name in PostgreSQL if different */
};

/* A bind parameter of a catalog method, and the column with its value. */
struct bind_from {
	const char *slot, *column;
};

struct table_of {
	const char *name;
	const char *where;               /* the rows that are transferred; NULL: all */
	const char *from[BACKEND_COUNT]; /* what is read instead of the table; NULL: the table */
	const char *end[BACKEND_COUNT];  /* statements for the target behind the last row */
	const struct column_of *columns;
	unsigned column_count;
	bool numbered; /* PostgreSQL: rows have a number that others refer to */
	bool identity; /* the id continues from the largest */
	/* SQLite: the catalog's own statement writes rows with a document, and fills the old
	 * server's columns from it, … */
	const char *method;
	struct bind_from binds[9];
	const char *after; /* … then this, with :column */
	/* … and for an old row without a document, this method's answer for the same user supplies
	 * it. */
	const char *reader;
};

enum { TABLE_COLUMNS_MAX = 32 };

enum { VALUE_ADDRESS = 2 }; /* flag of a value: an address in canonical form */

/* Parents before children; ends with a row without a name. prefix: transfer_ */
extern const struct table_of transfer_tables[];
/* Appends " FROM table t", with its condition. */
void tables_from(const struct table_of *table, enum backend_id backend, struct buffer *sql);

#endif
