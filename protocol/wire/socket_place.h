/* The daemon's default socket: the same rule for daemon, client library and command line.
 *
 * Thread: reads the environment; no state. */
#ifndef PIERRE_SOCKET_PLACE_H
#define PIERRE_SOCKET_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define SOCKET_PLACE_NAME "/pierre-dbd.sock"
/* The packaged service's; only root creates its folder. Clients look there when their own default
 * has none. */
#define SOCKET_PLACE_SYSTEM "/run/pierre-dbd" SOCKET_PLACE_NAME

/* In the order of precedence. */
enum socket_place_kind {
	SOCKET_PLACE_RUNTIME, /* $RUNTIME_DIRECTORY, the first of several: set by systemd */
	SOCKET_PLACE_SESSION, /* $XDG_RUNTIME_DIR */
	SOCKET_PLACE_OWN,     /* /tmp/pierre-dbd-UID, which must belong to the user alone */
	SOCKET_PLACE_KINDS
};

struct socket_place {
	enum socket_place_kind kind;
	const char *variable; /* that names the folder; NULL: none */
	const char *folder;   /* not NUL-terminated: `length` bytes */
	size_t length;
	char own[48];
};

/* false: its variable is not set. */
bool socket_place_of(enum socket_place_kind kind, struct socket_place *place);
/* The first that exists. */
void socket_place_find(struct socket_place *place);
/* Whether the folder below /tmp is safe to use: another user may have created it. NULL: yes;
 * otherwise the reason, which follows "the folder PATH ". */
const char *socket_place_objection(const struct stat *folder);

#endif
