/* JSON objects and arrays, member by member. This file writes brackets, commas and quoted names;
 * callers pass names and values: json_add_object(out, NULL); json_add_text(out, "state", "ok");
 * json_add_end(out, '}').
 *
 * A NULL name adds an item of an array, or the outermost value. The buffer's last byte decides on
 * commas, which needs no state. The buffer keeps a failure; callers check it once at the end.
 *
 * encode.c writes rows of the database, from the catalog's tables. */
#ifndef PIERRE_JSON_ADD_H
#define PIERRE_JSON_ADD_H

#include <stdbool.h>
#include <stdint.h>

#include "../buffer.h"

/* Writes a comma where needed, and the name; another writer adds the value. */
void json_add_name(struct buffer *out, const char *name);
void json_add_object(struct buffer *out, const char *name); /* opens it */
void json_add_array(struct buffer *out, const char *name);  /* opens it */
void json_add_end(struct buffer *out, char bracket);        /* closes it: '}' or ']' */

void json_add_text(
	struct buffer *out, const char *name, const char *text); /* valid UTF-8; NULL: null */
void json_add_integer(struct buffer *out, const char *name, int64_t value);
void json_add_count(struct buffer *out, const char *name,
	uint64_t value); /* values above INT64_MAX become INT64_MAX */
void json_add_real(struct buffer *out, const char *name, double value); /* finite */
void json_add_bool(struct buffer *out, const char *name, bool value);
void json_add_json(
	struct buffer *out, const char *name, const char *json); /* a value that is already JSON */

#endif
