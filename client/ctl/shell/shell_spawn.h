/* Commands that run as programs of their own and get the whole terminal. */
#ifndef PIERRE_CTL_SHELL_SPAWN_H
#define PIERRE_CTL_SHELL_SPAWN_H

#include "../ctl.h"

/* Runs this program with the words, and with the options that it has itself. with_stdin: else its
 * stdin is empty. Returns the exit code, as sh does. */
int shell_spawn_run(const struct ctl *ctl, bool with_stdin, char **words, int count);

#endif
