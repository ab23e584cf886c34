/* A call that waits for its answer. Thread: the handle's. */
#ifndef PIERRE_CLIENT_BLOCKING_H
#define PIERRE_CLIENT_BLOCKING_H

#include "stub.h"

/* args: the stub's struct of arguments. out, count: where the result goes, or NULL. Returns 0 or
 * the error's kind, with *error filled. Refused inside a callback (PIERRE_MISUSE). */
int blocking_call(struct pierre *db, const struct stub_method *method, const void *args, void *out,
	size_t *count, struct pierre_error *error);

#endif
