/* Blocking calls. Thread: the handle's. */
#ifndef PIERRE_CLIENT_BLOCKING_H
#define PIERRE_CLIENT_BLOCKING_H

#include "stub.h"

/* args: the stub's argument struct. out, count: receive the result, or NULL. Returns 0, or the
 * error's kind with *error filled. Fails with PIERRE_MISUSE inside a callback. */
int blocking_call(struct pierre *db, const struct stub_method *method, const void *args, void *out,
	size_t *count, struct pierre_error *error);

#endif
