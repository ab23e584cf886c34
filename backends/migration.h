/* A database's migrations: numbered SQL texts, embedded at build time from
 * migrations/NNNN_name.sql. */
#ifndef PIERRE_MIGRATION_H
#define PIERRE_MIGRATION_H

#include <stdint.h>

#include "../protocol/buffer.h"

struct migration {
	int number;       /* 1, 2, 3, …; 0 ends the table */
	const char *name; /* "0001_base"; NULL ends the table */
	const char *sql;
};

extern const struct migration sqlite_migrations[];
extern const struct migration postgres_migrations[];

int64_t migration_newest(const struct migration *table); /* the version of a current schema */
/* Appends its name to the items of a JSON array. applied NULL: does nothing. */
void migration_list(struct buffer *applied, const struct migration *migration);
/* The result of `migrate`. applied: a JSON array built by migration_list. */
void migration_describe(struct buffer *out, int64_t schema, const struct buffer *applied);

#endif
