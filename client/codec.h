/* C structs <-> JSON, by the generated tables of stub.h. Thread: no state. */
#ifndef PIERRE_CLIENT_CODEC_H
#define PIERRE_CLIENT_CODEC_H

#include "buffer.h"
#include "failure.h"
#include "stub.h"

/* Appends the params object of a call. Refuses what the daemon would refuse for its form alone
 * (missing, no UTF-8, no JSON, not a finite number): so every line sent is a valid request. */
int encode_params_params(struct buffer *out, const struct stub_type *type, const void *args,
	struct pierre_error *error);

/* Appends a JSON text in compact form, so that it fits a line. path: whose text it is, for the
 * message. */
int encode_params_json(struct buffer *out, const char *text, unsigned depth, bool object_only,
	const char *path, struct pierre_error *error);

/* Puts the method's result at `node` into *out (and *count), in one block that decode_result_free
 * frees. Writes nothing on failure. */
int decode_result_result(const struct stub_method *method, const struct json *json, uint32_t node,
	void *out, size_t *count, struct pierre_error *error);

/* A copy of a text as a result; NULL when out of memory. */
char *decode_result_text(const char *text, size_t length);

/* Any value's text as it stands in the answer, a string's with its quotes. */
const char *decode_result_raw(const struct json *json, uint32_t node, size_t *length);

#endif
