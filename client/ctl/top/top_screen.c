/* The terminal: its settings are changed at the start and restored on every exit. */
#include "../output.h"
#include "../terminal.h"
#include "top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static bool taken;
static sigset_t while_waiting;
static volatile sig_atomic_t resized, suspended, ended;

static const char enter[] =
	"\033[?1049h\033[?25l\033[?7l"; /* alternate screen, no cursor, no wrapping */
static const char leave[] = "\033[?7h\033[?25h\033[?1049l";

static void top_screen_write_all(const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(STDOUT_FILENO, text, length);

		if (n < 0 && errno == EAGAIN) {
			(void)poll(
				&(struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT}, 1, 1000);
			continue;
		}
		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			text += n;
			length -= (size_t)n;
		}
	}
}

bool top_screen_possible(void)
{
	return isatty(STDOUT_FILENO) == 1 && isatty(STDIN_FILENO) == 1 && terminal_moves_cursor();
}

int top_screen_open(void)
{
	struct termios keys;

	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return output_fail(
			EX_IOERR, "cannot read the terminal settings: %s", strerror(errno));
	keys = before;
	keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	keys.c_cc[VMIN] = 0;
	keys.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &keys) != 0)
		return output_fail(
			EX_IOERR, "cannot change the terminal settings: %s", strerror(errno));
	taken = true;
	top_screen_write_all(enter, sizeof enter - 1);
	return 0;
}

void top_screen_close(void)
{
	if (!taken)
		return;
	taken = false;
	top_screen_write_all(leave, sizeof leave - 1);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

void top_screen_write(const struct buffer *out)
{
	top_screen_write_all(out->data, out->length);
}

static void top_screen_on_signal(int number)
{
	if (number == SIGWINCH)
		resized = 1;
	else if (number == SIGTSTP)
		suspended = 1;
	else
		ended = number;
}

static void listen_to(int number)
{
	struct sigaction action = {.sa_handler = top_screen_on_signal};
	sigset_t one;

	(void)sigemptyset(&one);
	(void)sigaddset(&one, number);
	(void)sigaction(number, &action, NULL);
	(void)sigprocmask(SIG_BLOCK, &one, NULL);
	(void)sigdelset(&while_waiting, number);
}

void top_screen_signals_init(bool full_screen)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

	(void)sigprocmask(SIG_SETMASK, NULL, &while_waiting);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		listen_to(ends[i]);
	if (full_screen) {
		listen_to(SIGWINCH);
		listen_to(SIGTSTP);
	}
}

static void top_screen_read_key(struct top_event *event)
{
	ssize_t n = read(STDIN_FILENO, event->keys, sizeof event->keys - 1);

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		event->ended = SIGHUP; /* the terminal was closed */
	event->keys[n > 0 ? n : 0] = '\0';
}

void top_screen_wait(
	int db_fd, unsigned db_events, double seconds, bool keys, struct top_event *event)
{
	struct pollfd waiting[2] = {
		{.fd = db_fd,
			.events = (short)((db_events & PIERRE_EVENT_READ ? POLLIN : 0) |
				(db_events & PIERRE_EVENT_WRITE ? POLLOUT : 0))},
		{.fd = keys ? STDIN_FILENO : -1, .events = POLLIN},
	};
	struct timespec time;

	seconds = seconds > 0 ? seconds : 0;
	time.tv_sec = (time_t)seconds;
	time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
	*event = (struct top_event){.ended = 0};
	if (ppoll(waiting, 2, &time, &while_waiting) > 0 && waiting[1].revents != 0)
		top_screen_read_key(event);
	event->resized = resized != 0;
	event->suspended = suspended != 0;
	if (ended != 0)
		event->ended = ended;
	resized = suspended = 0;
}

void top_screen_suspend(void)
{
	struct sigaction usual = {.sa_handler = SIG_DFL}, own;
	sigset_t one, blocked;

	top_screen_close();
	(void)sigemptyset(&one);
	(void)sigaddset(&one, SIGTSTP);
	(void)sigaction(SIGTSTP, &usual, &own);
	(void)raise(SIGTSTP);
	(void)sigprocmask(SIG_UNBLOCK, &one, &blocked); /* stops here until SIGCONT */
	(void)sigprocmask(SIG_SETMASK, &blocked, NULL);
	(void)sigaction(SIGTSTP, &own, NULL);
	(void)top_screen_open();
}
