/* The hosts of a database URL: how many it names, and the order in which they are tried. */
#ifndef PIERRE_PG_HOSTS_H
#define PIERRE_PG_HOSTS_H

#include <libpq-fe.h>
#include <stdbool.h>

struct hosts {
	unsigned count; /* of hosts that the URL names */
	bool chosen;    /* the URL or the environment says which kind of server to use */
	/* libpq's lists, beginning with another host, or with fewer; NULL: as in the URL */
	char *host, *hostaddr, *port;
};

/* first: the host to begin with, from 0, modulo their number. passed: how many from there on are
 * left out, fewer than there are. False: out of memory. */
bool hosts_init(struct hosts *ret, const char *url, unsigned first, unsigned passed);
void hosts_free(struct hosts *hosts);
unsigned hosts_count(const char *url);
/* Which host of the URL a connection leads to; 0 if it cannot be told. */
unsigned hosts_find(const char *url, const PGconn *pq);
/* How many hosts from `first` on are passed after an attempt that left out `passed` and ended at
 * that one. */
unsigned hosts_passed(const char *url, const PGconn *pq, unsigned first, unsigned passed);

#endif
