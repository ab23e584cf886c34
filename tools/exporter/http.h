/* The HTTP server of the exporter. It holds a bounded number of connections, each for a bounded
 * time, and answers one request on each.
 *
 * Thread: one. The owner's loop polls http_fd() and calls http_run() when it is readable or
 * http_timeout_ms() is over. */
#ifndef PIERRE_EXPORTER_HTTP_H
#define PIERRE_EXPORTER_HTTP_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scrape.h"

struct http_client {
	struct MHD_Connection *connection; /* NULL: a free place */
	int fd;
	uint64_t began, deadline;
	bool asked;   /* its request is complete */
	bool waiting; /* suspended until the daemon has answered */
	bool ended;   /* shut down: libmicrohttpd will close it */
};

struct http {
	struct MHD_Daemon *daemon;
	struct scrape *scrape;
	struct http_client *clients;
	size_t places, count;
	bool full; /* libmicrohttpd has stopped listening: it must run when a place is free */
	uint64_t answer_ms; /* time from a complete request to the end of its answer */
	uint64_t dropped;
};

/* Takes over the listening socket. Returns false when the system refuses. */
bool http_start(struct http *http, int listener, struct scrape *scrape, size_t connections,
	uint64_t timeout_ms);
void http_stop(struct http *http);
int http_fd(const struct http *http);
/* -1: nothing is due. */
int http_timeout_ms(const struct http *http);
/* Does all work that needs no waiting. */
void http_run(struct http *http);

#endif
