/* A line that shows how far something is: on a terminal only, on stderr, so that stdout stays data.
 */
#ifndef PIERRE_PROGRESS_H
#define PIERRE_PROGRESS_H

#include "ctl.h"

struct progress {
	bool shown; /* is there a terminal for it */
	bool begun; /* something stands on the line */
	const char *unit;
	double started; /* monotonic seconds */
};

void progress_begin(struct progress *progress, const struct ctl *ctl, const char *unit);
void progress_show(struct progress *progress, const char *what, double done, double all);
/* Takes the line away. */
void progress_end(struct progress *progress);

#endif
