/* A call's result: JSON -> C structs, by the generated tables of stub.h. Thread: no state. */
#ifndef PIERRE_CLIENT_DECODE_RESULT_H
#define PIERRE_CLIENT_DECODE_RESULT_H

#include "stub.h"

struct json;

/* Puts the method's result at `node` into *out (and *count), in one block that decode_result_free
 * frees. Writes nothing on failure. */
int decode_result(const struct stub_method *method, const struct json *json, uint32_t node,
	void *out, size_t *count, struct pierre_error *error);

/* A copy of a text as a result; NULL when out of memory. */
char *decode_result_text(const char *text, size_t length);

/* Any value's text as it stands in the answer, a string's with its quotes. */
const char *decode_result_raw(const struct json *json, uint32_t node, size_t *length);

/* Wipes and frees a result. */
void decode_result_free(void *result);

#endif
