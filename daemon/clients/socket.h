/* The socket's place in the file system: where it is, who owns it, and when an old one may be
 * replaced.
 *
 * A lock file beside the socket (PATH.lock, flock) decides which of several starting daemons gets
 * it; behind it, a connect probe tells a stale socket from a live one that has no lock. A live
 * socket is never taken, a file that is not a socket never deleted, a symbolic link never followed,
 * and at the end only the very socket that was made is removed. Thread: main. exit_code: 73 cannot
 * create, 75 another daemon is there, 78 path or inherited descriptor unusable. */
#ifndef PIERRE_SOCKET_H
#define PIERRE_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "../../protocol/error.h"

enum { SOCKET_PATH_MAX = 107, SOCKET_BACKLOG = 1024 };

struct socket {
	int fd, lock_fd; /* -1: none */
	bool inherited;  /* from systemd: never unlinked, chmodded or locked */
	bool bound;      /* path, device and inode are ours to remove */
	char path[SOCKET_PATH_MAX + 1];
	char lock_path[SOCKET_PATH_MAX + 8];
	dev_t device;
	ino_t inode;
};

void socket_init(struct socket *sock);
/* configured: the setting, or "" for the places in order. make: the folder in /tmp is made when it
 * is missing, not only checked. *in_runtime: the path is in $RUNTIME_DIRECTORY. */
int socket_choose(
	struct socket *sock, const char *configured, bool make, bool *in_runtime, struct err *err);
/* Takes over systemd's listening socket; 1 when there is none. */
int socket_inherit(struct socket *sock, struct err *err);
/* Closes the connections that wait on systemd's socket; takes it over when it has not been. For a
 * start that fails and that another attempt does not mend. */
void socket_dismiss(struct socket *sock);
/* Locks and binds; not listening yet. */
int socket_bind(struct socket *sock, mode_t mode, struct err *err);
int socket_listen(struct socket *sock, struct err *err);
/* Nobody can connect any more; the file stays, and the lock is held. */
void socket_deafen(struct socket *sock);
/* Still the file that was made? (True for inherited ones.) */
bool socket_in_place(const struct socket *sock);
/* Closes, removes socket and lock file when they are ours. Safe to call twice. */
void socket_close(struct socket *sock);
/* The same without anything that a signal handler may not do. */
void socket_remove(const struct socket *sock);

#endif
