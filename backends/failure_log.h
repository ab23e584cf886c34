/* Limits the logging of repeated failures, such as a full disk: first occurrence, each change, then
 * every half minute.
 *
 * Plain data; a caller that shares it between threads locks it. */
#ifndef PIERRE_FAILURE_LOG_H
#define PIERRE_FAILURE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "../protocol/error.h"

struct failure_log {
	char logged[ERR_MESSAGE_MAX]; /* the last message; all zero: no failure */
	uint64_t logged_at, last;     /* clock_ns() of the last message and the last failure */
	unsigned failures, lines;     /* failures in total and when last logged */
};

/* Counts a failure. Returns whether to log it. */
bool failure_log_note(struct failure_log *failure_log, const char *text, uint64_t now);
/* Resets the state, and the next failure is logged. Returns the number of failures. */
unsigned failure_log_end(struct failure_log *failure_log);

#endif
