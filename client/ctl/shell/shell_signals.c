#include "shell_signals.h"

#include <stddef.h>
#include <time.h>

/* SIGINT is the first: the only one that is taken without editing. */
static const struct {
	int number;
	unsigned bit;
} known[SHELL_SIGNALS_COUNT] = {
	{SIGINT, SHELL_SIGNALS_INTERRUPT},
	{SIGTERM, SHELL_SIGNALS_END},
	{SIGHUP, SHELL_SIGNALS_END},
	{SIGWINCH, SHELL_SIGNALS_RESIZE},
	{SIGTSTP, SHELL_SIGNALS_SUSPEND},
};

static volatile sig_atomic_t seen; /* SHELL_SIGNALS_… */

static void shell_signals_on_signal(int number)
{
	for (size_t i = 0; i < SHELL_SIGNALS_COUNT; i++)
		if (known[i].number == number)
			seen |= (sig_atomic_t)known[i].bit;
}

void shell_signals_begin(void)
{
	(void)signal(SIGINT, SIG_IGN);
}

void shell_signals_take(struct shell_signals *signals, bool editing)
{
	struct sigaction action = {.sa_handler = shell_signals_on_signal};
	sigset_t blocked;

	signals->taken = editing ? SHELL_SIGNALS_COUNT : 1;
	seen = 0;
	(void)sigemptyset(&blocked);
	for (unsigned i = 0; i < signals->taken; i++)
		(void)sigaddset(&blocked, known[i].number);
	(void)sigprocmask(SIG_BLOCK, &blocked, &signals->mask);
	for (unsigned i = 0; i < signals->taken; i++)
		(void)sigaction(known[i].number, &action, &signals->actions[i]);
}

void shell_signals_release(struct shell_signals *signals)
{
	for (unsigned i = 0; i < signals->taken; i++)
		(void)sigaction(known[i].number, &signals->actions[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}

unsigned shell_signals_wait(
	const struct shell_signals *signals, struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct timespec time = {
		.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L};
	unsigned found;

	(void)ppoll(fds, count, timeout_ms < 0 ? NULL : &time, &signals->mask);
	found = (unsigned)seen; /* the signals are blocked again */
	seen = 0;
	return found;
}
