/* What the daemon answers: the call it belongs to, and its result. Thread: the handle's. */
#ifndef PIERRE_CLIENT_ANSWER_H
#define PIERRE_CLIENT_ANSWER_H

#include "stub.h"

/* Takes one line; false when it is not an answer (the connection is broken then). */
bool answer_take(struct pierre *db, const char *line, size_t length);
/* Puts the result of `method` into *out (and *count), or the answer's error into *error. Returns 0
 * or the error's kind. */
int answer_result(const struct pierre_answer *answer, const struct stub_method *method, void *out,
	size_t *count, struct pierre_error *error);

#endif
