/* Answers of the daemon: finds the call, and decodes the result. Thread: the handle's. */
#ifndef PIERRE_CLIENT_ANSWER_H
#define PIERRE_CLIENT_ANSWER_H

#include "stub.h"

/* Handles one line; returns false when it is not an answer, which breaks the connection. */
bool answer_take(struct pierre *db, const char *line, size_t length);
/* Stores the result of `method` in *out (and *count), or the answer's error in *error. Returns 0 or
 * the error's kind. */
int answer_result(const struct pierre_answer *answer, const struct stub_method *method, void *out,
	size_t *count, struct pierre_error *error);

#endif
