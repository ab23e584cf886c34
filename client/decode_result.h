/* Decodes a result from JSON to C structs by the generated tables of stub.h. Thread: no state. */
#ifndef PIERRE_CLIENT_DECODE_RESULT_H
#define PIERRE_CLIENT_DECODE_RESULT_H

#include "stub.h"

struct json;

/* Stores the method's result at `node` in *out (and *count), in one block that decode_result_free
 * frees. Stores nothing on failure. */
int decode_result(const struct stub_method *method, const struct json *json, uint32_t node,
	void *out, size_t *count, struct pierre_error *error);

/* Copies a text as a result; NULL when out of memory. */
char *decode_result_text(const char *text, size_t length);

/* The text of a value in the answer; a string includes its quotes. */
const char *decode_result_raw(const struct json *json, uint32_t node, size_t *length);

/* Wipes and frees a result. */
void decode_result_free(void *result);

#endif
