/* Encodes params from C structs to JSON by the generated tables of stub.h. Thread: no state. */
#ifndef PIERRE_CLIENT_ENCODE_PARAMS_H
#define PIERRE_CLIENT_ENCODE_PARAMS_H

#include "buffer.h"
#include "stub.h"

/* Appends the params object of a call. Refuses values that are missing or malformed (not UTF-8, not
 * JSON, not a finite number), so that every line sent is a valid request. */
int encode_params(struct buffer *out, const struct stub_type *type, const void *args,
	struct pierre_error *error);

/* Appends a JSON text in compact form, without newlines. path: the parameter, for messages. */
int encode_params_json(struct buffer *out, const char *text, unsigned depth, bool object_only,
	const char *path, struct pierre_error *error);

#endif
