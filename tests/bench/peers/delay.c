/* A network of the benchmark: forwards TCP connections to a PostgreSQL server and delivers every
 * byte after a fixed time, in both directions. Data in flight does not hold up what comes behind
 * it, as on a real line; there is no limit of its rate.
 *
 * usage: bench-delay PORT MICROSECONDS     to 127.0.0.1:PORT, so long in each direction
 * Prints the port that it listens on. One thread, one epoll, one timer. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "peer.h"

enum { CHUNK = 64 * 1024, EVENTS = 64, BACKLOG = 256 };

struct chunk {
	struct chunk *next;
	uint64_t due; /* when it arrives */
	size_t start, length;
	char data[];
};

struct link;

/* One direction: what was read from a socket and goes to the other one. */
struct way {
	struct link *link;
	int from, to;
	struct chunk *first, *last;
};

struct link {
	struct link *next;
	struct way ways[2];
	bool broken;
};

struct delay {
	int epoll, timer, listener;
	struct sockaddr_in server;
	uint64_t ns;
	struct link *links;
};

static struct sockaddr_in delay_place(unsigned port)
{
	struct sockaddr_in place = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return place;
}

static void delay_watch(struct delay *delay, int fd, void *data)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = data}};

	if (epoll_ctl(delay->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		peer_die("epoll: %s", strerror(errno));
}

static void delay_listen(struct delay *delay)
{
	struct sockaddr_in place = delay_place(0);
	socklen_t length = sizeof place;

	delay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (delay->listener < 0 ||
		bind(delay->listener, (struct sockaddr *)&place, sizeof place) < 0 ||
		listen(delay->listener, BACKLOG) < 0 ||
		getsockname(delay->listener, (struct sockaddr *)&place, &length) < 0)
		peer_die("listening: %s", strerror(errno));
	delay_watch(delay, delay->listener, &delay->listener);
	printf("%u\n", ntohs(place.sin_port));
	(void)fflush(stdout);
}

static void delay_accept(struct delay *delay)
{
	int client = accept4(delay->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct link *link = calloc(1, sizeof *link);

	if (client < 0 || server < 0 || link == NULL ||
		connect(server, (struct sockaddr *)&delay->server, sizeof delay->server) < 0 ||
		fcntl(server, F_SETFL, O_NONBLOCK) < 0)
		peer_die("connecting: %s", strerror(errno));
	(void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	link->ways[0] = (struct way){.link = link, .from = client, .to = server};
	link->ways[1] = (struct way){.link = link, .from = server, .to = client};
	link->next = delay->links;
	delay->links = link;
	delay_watch(delay, client, &link->ways[0]);
	delay_watch(delay, server, &link->ways[1]);
}

static void delay_read(struct delay *delay, struct way *way)
{
	struct chunk *chunk = malloc(sizeof *chunk + CHUNK);
	ssize_t got = chunk != NULL ? recv(way->from, chunk->data, CHUNK, 0) : -1;

	if (got <= 0) {
		way->link->broken = way->link->broken || got == 0 || errno != EAGAIN;
		free(chunk);
		return;
	}
	chunk->next = NULL;
	chunk->due = peer_clock() + delay->ns;
	chunk->start = 0;
	chunk->length = (size_t)got;
	if (way->first == NULL)
		way->first = chunk;
	else
		way->last->next = chunk;
	way->last = chunk;
}

/* Delivers what is due. */
static void delay_deliver(struct way *way, uint64_t now)
{
	while (way->first != NULL && way->first->due <= now) {
		struct chunk *chunk = way->first;
		ssize_t sent = send(way->to, chunk->data + chunk->start,
			chunk->length - chunk->start, MSG_NOSIGNAL);

		if (sent < 0 && errno == EAGAIN) {
			chunk->due = now + 100000; /* the receiver is slower than its network */
			return;
		}
		if (sent < 0) {
			way->link->broken = true;
			return;
		}
		chunk->start += (size_t)sent;
		if (chunk->start < chunk->length)
			continue;
		way->first = chunk->next;
		free(chunk);
	}
}

static void delay_close(struct link *link)
{
	for (int i = 0; i < 2; i++) {
		close(link->ways[i].from);
		while (link->ways[i].first != NULL) {
			struct chunk *chunk = link->ways[i].first;

			link->ways[i].first = chunk->next;
			free(chunk);
		}
	}
	free(link);
}

/* Delivers on all connections, and sets the timer to what is due next. */
static void delay_pass(struct delay *delay)
{
	uint64_t now = peer_clock(), next = 0;
	struct itimerspec when = {.it_value = {0}};

	for (struct link **place = &delay->links; *place != NULL;) {
		struct link *link = *place;

		for (int i = 0; i < 2; i++) {
			struct way *way = &link->ways[i];

			delay_deliver(way, now);
			if (way->first != NULL && (next == 0 || way->first->due < next))
				next = way->first->due;
		}
		if (link->broken) {
			*place = link->next;
			delay_close(link);
		} else {
			place = &link->next;
		}
	}
	when.it_value.tv_sec = (time_t)(next / 1000000000);
	when.it_value.tv_nsec = (long)(next % 1000000000);
	(void)timerfd_settime(delay->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

int main(int argc, char **argv)
{
	struct delay delay = {.epoll = epoll_create1(EPOLL_CLOEXEC),
		.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)};
	struct epoll_event events[EVENTS];

	if (argc != 3)
		peer_die("usage: bench-delay PORT MICROSECONDS");
	(void)prctl(PR_SET_TIMERSLACK, 1);
	delay.server = delay_place((unsigned)strtoul(argv[1], NULL, 10));
	delay.ns = strtoull(argv[2], NULL, 10) * 1000;
	delay_watch(&delay, delay.timer, &delay.timer);
	delay_listen(&delay);
	for (;;) {
		int count = epoll_wait(delay.epoll, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			void *what = events[i].data.ptr;

			if (what == &delay.listener)
				delay_accept(&delay);
			else if (what != &delay.timer)
				delay_read(&delay, what);
		}
		delay_pass(&delay);
	}
}
