/* A call that ^C cancels. */
#ifndef PIERRE_CTL_SHELL_CALL_H
#define PIERRE_CTL_SHELL_CALL_H

#include "../ctl.h"

enum { SHELL_CALL_CANCELLED = 130 }; /* the exit code that sh gives a program after ^C */

/* Does the work of connect_call() for the commands of an interactive session. */
int shell_call_run(struct ctl *ctl, const char *method, const char *params, char **result);

#endif
