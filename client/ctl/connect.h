/* The connection of a command to the daemon. */
#ifndef PIERRE_CTL_CONNECT_H
#define PIERRE_CTL_CONNECT_H

#include <stddef.h>

#include "ctl.h"

/* The handle, opened when it is not yet; NULL when out of memory. */
struct pierre *connect_open(struct ctl *ctl);
/* A call by name; *result is to be freed with pierre_text_free. Reports the failure; returns 0 or
 * the exit code. */
int connect_call(struct ctl *ctl, const char *method, const char *params, char **result);

/* The daemon's program: beside this one, else wherever $PATH says. */
void connect_daemon_program(char *out, size_t size);

#endif
