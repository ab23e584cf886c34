/* The hosts of a database URL: how many it names, and the order in which they are tried. */
#ifndef PIERRE_PG_HOSTS_H
#define PIERRE_PG_HOSTS_H

#include <libpq-fe.h>
#include <stdbool.h>

/* Where to connect. */
struct target {
	const char *url;
	unsigned first;  /* the host to try first, from 0, modulo their number */
	unsigned passed; /* how many from there on are left out, fewer than there are */
	bool only;       /* no other host than the first; whatever kind of server it is */
};

struct hosts {
	unsigned count; /* of hosts that the URL names */
	bool chosen;    /* the URL or the environment says which kind of server to use */
	/* libpq's lists, beginning with another host, or with fewer; NULL: as in the URL */
	char *host, *hostaddr, *port;
};

/* False: out of memory. */
bool hosts_init(struct hosts *ret, const struct target *target);
void hosts_free(struct hosts *hosts);
unsigned hosts_count(const char *url);
/* A host of the URL, from 0, as host:port. */
void hosts_name(const char *url, unsigned host, char *out, size_t size);
/* Which host of the URL a connection leads to; 0 if it cannot be told. */
unsigned hosts_find(const char *url, const PGconn *pq);
/* How many hosts from `first` on are passed after an attempt that left out `passed` and ended at
 * that one. */
unsigned hosts_passed(const char *url, const PGconn *pq, unsigned first, unsigned passed);

#endif
