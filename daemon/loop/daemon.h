/* The running daemon: its life from ready to ended. One per process; what it is made of is the
 * business of daemon.c alone. Thread: the loop thread. */
#ifndef PIERRE_DAEMON_H
#define PIERRE_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "../../backends/secrets/seal.h"
#include "../../backends/store.h"
#include "../clients/access.h"
#include "../clients/socket.h"
#include "../settings/settings.h"

/* What a daemon runs on. */
struct daemon_parts {
	struct settings settings;
	struct seal *seal;
	struct store *store;
	struct socket socket;
	struct access access;
};

struct daemon_end {
	int exit_code;
	bool abandoned;    /* calls were still in flight: the store is closed, and their memory is
	                      not ours to free */
	uint64_t close_by; /* uv_hrtime when the store is to be closed; 0: whenever it is done */
};

/* Runs until told to stop. */
void daemon_run(struct daemon_parts *parts, struct daemon_end *end);
/* What reading the settings has warned of, once. */
void daemon_log_warnings(struct settings *settings);

#endif
