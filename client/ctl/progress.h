/* A progress bar on stderr, shown on a terminal only. stdout carries data. */
#ifndef PIERRE_PROGRESS_H
#define PIERRE_PROGRESS_H

#include "ctl.h"

struct progress {
	bool shown; /* stderr is a terminal */
	bool begun; /* a bar is on the line */
	const char *unit;
	double started; /* monotonic seconds */
};

void progress_begin(struct progress *progress, const struct ctl *ctl, const char *unit);
void progress_show(struct progress *progress, const char *what, double done, double all);
/* Erases the bar. */
void progress_end(struct progress *progress);

#endif
