/* What every room works with: the loop, the settings in force, the counters, the time. Owned by
 * the daemon, one per process. Thread: the loop thread. */
#ifndef PIERRE_RUNTIME_H
#define PIERRE_RUNTIME_H

#include <uv.h>

#include "metrics.h"
#include "../settings/settings.h"
#include "busy_poll.h"
#include "iteration_clock.h"

struct runtime {
	uv_loop_t loop;
	const struct settings *settings;
	struct metrics metrics;
	struct iteration_clock clock;
	struct busy_poll busy_poll;
};

#endif
