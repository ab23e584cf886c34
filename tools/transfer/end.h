/* One end of a transfer: a database that is read or written. */
#ifndef PIERRE_TRANSFER_END_H
#define PIERRE_TRANSFER_END_H

#include <stdint.h>

#include "../../backends/secrets/seal.h"
#include "../../protocol/arena.h"
#include "../../protocol/error.h"
#include "../../protocol/value.h"
#include "tables.h"

/* A database. All functions return 0 (next: 1 for a row), or -1 with err->exit_code. */
struct end {
	const struct end_ops *ops;
	const char *shown; /* its redacted URL */
	struct seal *seal;
	enum binding_format format; /* of its tokens */
	int64_t refused; /* `written` failed because of this row, counted from 1; 0: for another
	                    reason */
};

struct end_ops {
	int (*count)(struct end *end, const struct table_of *table, int64_t *rows, struct err *err);
	int (*read)(struct end *end, const struct table_of *table, struct err *err);
	/* Reads the raw values of the next row; texts are valid until the next one, or in the
	 * arena. */
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
 * a verified key. Only an empty target is changed. */
typedef int end_open(
	struct end **ret, const char *url, bool target, struct seal *seal, struct err *err);

int end_schema_must_be(int64_t version, int64_t known, const char *shown, struct err *err);
/* Called for each table of a target, before migration. Without a schema version no such table may
 * exist: it would belong to another program or an older server. None may have rows. */
int end_table_must_be_empty(int64_t version, const char *name, int64_t rows, struct err *err);

#endif
