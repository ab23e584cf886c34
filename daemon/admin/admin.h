/* The parts of the daemon that its own methods look at and change. Owned by the daemon. Thread: the
 * loop thread. */
#ifndef PIERRE_ADMIN_H
#define PIERRE_ADMIN_H

#include <stdint.h>

#include "../../backends/secrets/seal.h"
#include "../base/runtime.h"
#include "../calls/dispatcher.h"
#include "../clients/server.h"
#include "health.h"
#include "wait_for.h"

struct admin {
	struct runtime *runtime;
	struct store *store;
	struct seal *seal;
	struct server *server;
	struct dispatcher *dispatcher;
	struct health health;
	struct wait_for wait_for;
	uint64_t started_at;  /* uv_hrtime */
	int64_t started_wall; /* the same moment by the wall clock, µs */
	uint64_t reloads;
	/* Reads the settings again. Failure: the old ones stay, all of them. */
	int (*reload)(void *owner, struct settings_changes *changes, struct err *err);
	void *owner;
};

#endif
