/* Rows in their canonical form, and their checksum. */
#ifndef PIERRE_TRANSFER_ROW_H
#define PIERRE_TRANSFER_ROW_H

#include "../../protocol/arena.h"
#include "../../protocol/error.h"
#include "../../protocol/value.h"
#include "tables.h"

struct checksum {
	int64_t rows;
	unsigned __int128 sum; /* sum of the rows' digests, independent of their order */
};

/* Converts a row's raw values into their canonical form, or reports which value of which row is
 * invalid. */
int row_normalize(const struct table_of *table, struct value *values, struct arena *arena,
	const char *shown, struct err *err);
void row_checksum_add(struct checksum *checksum, const struct table_of *table,
	const struct value *values, struct arena *arena);
int row_fail(const struct table_of *table, const struct value *values, const char *shown,
	struct err *err, const char *format, ...) __attribute__((format(printf, 5, 6)));
int row_column_place(const struct table_of *table,
	const char *name); /* index; an unknown name is a bug of this program */

#endif
