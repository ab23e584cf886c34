/* The socket on which the exporter accepts HTTP connections: systemd's, or one of its own. Only
 * loopback addresses and Unix sockets are accepted. */
#ifndef PIERRE_EXPORTER_LISTENER_H
#define PIERRE_EXPORTER_LISTENER_H

#include <sys/un.h>

struct listener {
	int fd;
	char path[sizeof((struct sockaddr_un *)0)->sun_path]; /* a file to remove; empty: none */
	char name[160];                                       /* for people */
};

/* Returns 0, or the exit code after reporting what is wrong. */
int listener_open(struct listener *listener, const char *address);
/* Removes the file. The owner of the descriptor closes that. */
void listener_remove(const struct listener *listener);

#endif
