/* pierre-dbd-exporter: answers Prometheus over HTTP, and asks pierre-dbd as one of its clients. No
 * HTTP enters the process that holds the key. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "exporter_options.h"
#include "http.h"
#include "listener.h"
#include "scrape.h"

static volatile sig_atomic_t stopping;

static void note_signal(int number)
{
	(void)number;
	stopping = 1;
}

/* SIGTERM and SIGINT are delivered only while ppoll() waits: `usual` is the mask for that. */
static void watch_signals(sigset_t *usual)
{
	const struct sigaction stop = {.sa_handler = note_signal}, ignore = {.sa_handler = SIG_IGN};
	sigset_t blocked;

	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGTERM);
	(void)sigaddset(&blocked, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &blocked, usual);
	(void)sigdelset(usual, SIGTERM);
	(void)sigdelset(usual, SIGINT);
	(void)sigaction(SIGTERM, &stop, NULL);
	(void)sigaction(SIGINT, &stop, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
}

/* Of two times to wait in milliseconds, where -1 has no end. */
static int shorter(int one, int other)
{
	if (one < 0 || other < 0)
		return one < 0 ? other : one;
	return one < other ? one : other;
}

static int serve(struct http *http, struct scrape *scrape, const sigset_t *usual)
{
	while (!stopping) {
		unsigned events = pierre_events(scrape->db);
		struct pollfd watched[] = {
			{.fd = http_fd(http), .events = POLLIN},
			{.fd = pierre_fd(scrape->db),
				.events = (short)(((events & PIERRE_EVENT_READ) != 0 ? POLLIN : 0) |
					((events & PIERRE_EVENT_WRITE) != 0 ? POLLOUT : 0))},
		};
		int wait = shorter(http_timeout_ms(http), pierre_timeout_ms(scrape->db));
		struct timespec time = {wait / 1000, wait % 1000 * 1000000L};

		if (ppoll(watched, 2, wait >= 0 ? &time : NULL, usual) < 0 && errno != EINTR)
			return exporter_options_fail(EX_OSERR, "poll: %s", strerror(errno));
		pierre_process(scrape->db);
		http_run(http);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct exporter_options options;
	struct listener listener;
	struct scrape scrape;
	struct http http = {0};
	sigset_t usual;
	int status;

	if (exporter_options_read(&options, argc, argv, &status) != EXPORTER_SERVE)
		return fflush(stdout) == 0 ? status : EX_IOERR;
	watch_signals(&usual);
	status = listener_open(&listener, options.listen);
	if (status != 0)
		return status;
	if (!scrape_init(&scrape, options.socket, options.timeout_ms, &http.dropped)) {
		listener_remove(&listener);
		return exporter_options_fail(EX_OSERR, "out of memory");
	}
	if (http_start(&http, listener.fd, &scrape, options.connections, options.timeout_ms)) {
		(void)fprintf(stderr, "pierre-dbd-exporter: listening on %s\n", listener.name);
		status = serve(&http, &scrape, &usual);
		http_stop(&http);
	} else {
		status = exporter_options_fail(
			EX_OSERR, "cannot start the HTTP server: %s", strerror(errno));
	}
	listener_remove(&listener);
	scrape_free(&scrape);
	return status;
}
