#include "failure_log.h"

#include <stdio.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

/* Alternating causes are logged at most once a second. A second cause is logged at once: a broken
 * connection becomes an unreachable server within milliseconds. */
static const uint64_t same_ns = 30 * SECOND_NS, other_ns = SECOND_NS;

bool failure_log_note(struct failure_log *failure_log, const char *text, uint64_t now)
{
	bool same = strncmp(failure_log->logged, text, sizeof failure_log->logged - 1) == 0;
	uint64_t pause = same ? same_ns : failure_log->lines > 1 ? other_ns : 0;

	failure_log->failures++;
	failure_log->last = now;
	if (failure_log->lines > 0 && now - failure_log->logged_at < pause)
		return false;
	failure_log->lines++;
	(void)snprintf(failure_log->logged, sizeof failure_log->logged, "%s", text);
	failure_log->logged_at = now;
	return true;
}

unsigned failure_log_end(struct failure_log *failure_log)
{
	unsigned failures = failure_log->failures;

	*failure_log = (struct failure_log){.failures = 0};
	return failures;
}
