/* Signals of an interactive session. They arrive only while the shell waits. */
#ifndef PIERRE_CTL_SHELL_SIGNALS_H
#define PIERRE_CTL_SHELL_SIGNALS_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>

enum {
	SHELL_SIGNALS_INTERRUPT = 1, /* ^C */
	SHELL_SIGNALS_END = 2,       /* SIGTERM, SIGHUP */
	SHELL_SIGNALS_RESIZE = 4,
	SHELL_SIGNALS_SUSPEND = 8, /* ^Z */
};

enum { SHELL_SIGNALS_COUNT = 5 };

/* What applied before. */
struct shell_signals {
	sigset_t mask;
	struct sigaction actions[SHELL_SIGNALS_COUNT];
	unsigned taken;
};

/* ^C is ignored from now on, except while the shell waits. */
void shell_signals_begin(void);
/* Until shell_signals_release(): ^C, and with `editing` the others too, end a wait instead of what
 * they usually do. */
void shell_signals_take(struct shell_signals *signals, bool editing);
void shell_signals_release(struct shell_signals *signals);
/* Waits for the file descriptors, a signal or the timeout (-1: none). Returns SHELL_SIGNALS_… */
unsigned shell_signals_wait(
	const struct shell_signals *signals, struct pollfd *fds, nfds_t count, int timeout_ms);

#endif
