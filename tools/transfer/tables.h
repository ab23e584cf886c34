/* The tables that are transferred, as data: each column has a canonical form, which both ends read
 * and write. */
#ifndef PIERRE_TRANSFER_TABLES_H
#define PIERRE_TRANSFER_TABLES_H

#include <stdbool.h>

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

/* Parents before children; ends with a row without a name. prefix: transfer_ */
extern const struct table_of transfer_tables[];

#endif
