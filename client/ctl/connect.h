/* The connection of a command to the daemon. */
#ifndef PIERRE_CTL_CONNECT_H
#define PIERRE_CTL_CONNECT_H

#include <stddef.h>

#include "ctl.h"

/* The handle, created by the first call; NULL when out of memory. */
struct pierre *connect_open(struct ctl *ctl);
/* From now on a call waits so long for a daemon. At first it makes one attempt, so that a command
 * fails at once without one: to wait for a daemon, repeat the command. */
void connect_wait_up_to(struct ctl *ctl, unsigned ms);
/* Closes the connection, and drops its unfinished calls; the next call opens another one. */
void connect_close(struct ctl *ctl);
/* Calls a method by name; the caller frees *result with pierre_text_free. Reports a failure;
 * returns 0 or the exit code. */
int connect_call(struct ctl *ctl, const char *method, const char *params, char **result);
/* The next call carries this idempotency key. Reports a failure; returns 0 or the exit code. */
int connect_use_key(struct ctl *ctl, const char *key);

/* The folder of this program, without a slash at its end; empty when it is unknown. `own` has
 * PATH_MAX bytes. */
void connect_own_folder(char *own);
/* The daemon's program: in the folder of this program, else found through $PATH. */
void connect_daemon_program(char *out, size_t size);

#endif
