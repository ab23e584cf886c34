/* Encodes rows as the JSON text of an answer, by the row schema's table, straight into the answer's
 * buffer. Thread: no state. */
#ifndef PIERRE_ENCODE_H
#define PIERRE_ENCODE_H

#include "arena.h"
#include "buffer.h"
#include "catalog.h"
#include "error.h"

/* Appends one row (object or scalar).
 *
 * columns: row schema->column_count values, converted to the column's type by the backend;
 * TYPE_SEALED ones already opened. DOCUMENT, JSON, MAP and STRINGS texts come from the database:
 * they are scanned and written compactly. Text that is not JSON is ERR_STORAGE (naming type and
 * member, not the text).
 *
 * The caller checks the buffer's own failure (over the limit). scratch: reset by the caller. */
int encode_row(struct buffer *out, const struct row_schema *row_schema, const struct value *columns,
	struct arena *scratch, struct err *err);

#endif
