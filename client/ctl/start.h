/* pierre-dbctl without a command. */
#ifndef PIERRE_CTL_START_H
#define PIERRE_CTL_START_H

#include "ctl.h"

/* Says on stderr what to type next, which depends on whether a daemon answers. */
void start_advise(struct ctl *ctl);

#endif
