/* The params of a call: C structs -> JSON, by the generated tables of stub.h. Thread: no state. */
#ifndef PIERRE_CLIENT_ENCODE_PARAMS_H
#define PIERRE_CLIENT_ENCODE_PARAMS_H

#include "buffer.h"
#include "stub.h"

/* Appends the params object of a call. Refuses what the daemon would refuse for its form alone
 * (missing, no UTF-8, no JSON, not a finite number): so every line sent is a valid request. */
int encode_params(struct buffer *out, const struct stub_type *type, const void *args,
	struct pierre_error *error);

/* Appends a JSON text in compact form, so that it fits a line. path: whose text it is, for the
 * message. */
int encode_params_json(struct buffer *out, const char *text, unsigned depth, bool object_only,
	const char *path, struct pierre_error *error);

#endif
