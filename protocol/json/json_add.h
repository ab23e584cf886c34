/* JSON objects and arrays, one member after the other. Brackets, commas and the quoting of names
 * are this file's; callers give names and values: json_add_object(out, NULL); json_add_text(out,
 * "state", "ok"); json_add_end(out, '}').
 *
 * A name of NULL adds an item of an array, or the outermost value. The commas follow from what the
 * buffer ends with, so there is no state to carry. The buffer keeps a failure; callers check it
 * once at the end. Rows of the database are written by encode.c, from the catalog's tables. */
#ifndef PIERRE_JSON_ADD_H
#define PIERRE_JSON_ADD_H

#include <stdbool.h>
#include <stdint.h>

#include "../buffer.h"

/* A comma where one is due, and the name; the value follows by another writer. */
void json_add_name(struct buffer *out, const char *name);
void json_add_object(struct buffer *out, const char *name); /* opens it */
void json_add_array(struct buffer *out, const char *name);  /* opens it */
void json_add_end(struct buffer *out, char bracket);        /* closes it: '}' or ']' */

void json_add_text(
	struct buffer *out, const char *name, const char *text); /* valid UTF-8; NULL: null */
void json_add_integer(struct buffer *out, const char *name, int64_t value);
void json_add_count(
	struct buffer *out, const char *name, uint64_t value); /* above INT64_MAX: INT64_MAX */
void json_add_real(struct buffer *out, const char *name, double value); /* finite */
void json_add_bool(struct buffer *out, const char *name, bool value);
void json_add_json(
	struct buffer *out, const char *name, const char *json); /* a value that is JSON already */

#endif
