#include "trouble.h"

#include <stdio.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

/* Two causes that take turns are told once a second at most. The second line comes at once: what began with a connection that broke
 * goes on, within milliseconds, as a server that is not there. */
static const uint64_t same_ns = 30 * SECOND_NS, other_ns = SECOND_NS;

bool trouble_note(struct trouble *trouble, const char *text, uint64_t now)
{
	bool same = strncmp(trouble->told, text, sizeof trouble->told - 1) == 0;
	uint64_t pause = same ? same_ns : trouble->lines > 1 ? other_ns : 0;

	trouble->failures++;
	trouble->last = now;
	if (trouble->lines > 0 && now - trouble->told_at < pause)
		return false;
	trouble->lines++;
	(void)snprintf(trouble->told, sizeof trouble->told, "%s", text);
	trouble->told_at = now;
	return true;
}

unsigned trouble_end(struct trouble *trouble)
{
	unsigned failures = trouble->failures;

	*trouble = (struct trouble){.failures = 0};
	return failures;
}
