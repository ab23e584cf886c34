/* What goes wrong again and again, such as a disk that stays full: the log says so when it begins,
 * when it changes, and then each half minute.
 *
 * Plain data; who shares it between threads locks it. */
#ifndef PIERRE_FAILURE_LOG_H
#define PIERRE_FAILURE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "../protocol/error.h"

struct failure_log {
	char logged[ERR_MESSAGE_MAX]; /* what the log said last; all zero: all is well */
	uint64_t logged_at, last;     /* clock_ns(): of that, and of the last failure */
	unsigned failures, lines;     /* that there were, and that were told */
};

/* Counts a failure; whether it is to be told. */
bool failure_log_note(struct failure_log *failure_log, const char *text, uint64_t now);
/* Forgets it all, so that the next failure is told; how many there were. */
unsigned failure_log_end(struct failure_log *failure_log);

#endif
