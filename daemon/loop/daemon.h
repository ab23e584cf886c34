/* The running daemon: what its parts share, and its life from ready to ended. One per process.
 * Thread: the loop thread. */
#ifndef PIERRE_DAEMON_H
#define PIERRE_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "../../backends/seal.h"
#include "../../backends/store.h"
#include "../clients/access.h"
#include "../calls/dispatch.h"
#include "../admin/health.h"
#include "busy_poll.h"
#include "../admin/metrics.h"
#include "../calls/password_cost.h"
#include "../calls/password_pool.h"
#include "pause.h"
#include "../clients/server.h"
#include "../settings/settings.h"
#include "../clients/socket.h"

enum daemon_state {
	DAEMON_RUNNING,
	DAEMON_DRAINING, /* asked to stop: calls under way are answered, new ones are not begun */
	DAEMON_STOPPING, /* handles are closing */
};

struct daemon {
	uv_loop_t loop;
	struct settings settings;
	struct seal *seal;
	struct store *store;
	struct socket socket;
	struct access access;
	struct metrics metrics;
	struct server server;
	struct dispatch dispatch;
	struct health health;
	struct pause pause;
	struct password_pool *passwords;
	struct password_cost password_cost;
	enum daemon_state state;
	int exit_code;
	bool abandoned; /* ended with calls still under way: their memory is not ours to free */
	uint64_t started_at;  /* uv_hrtime */
	int64_t started_wall; /* the same moment by the wall clock, µs */
	uint64_t drain_until; /* uv_now */
	uint64_t end_by; /* uv_hrtime when the store is to be closed, too; 0: not asked to stop */
	uint64_t due;    /* what the due timer is set to, ns; 0 = not */
	uint64_t next_tick; /* uv_hrtime when the tick should come */
	bool starving;      /* the watchdog is not fed */
	uint64_t reloads, ticks;
	bool socket_missing_logged;
	uv_poll_t store_poll;
	struct busy_poll busy_poll;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_timer_t tick, due_timer, watchdog;
	uv_signal_t signals[3];
};

/* Settings, seal, store, socket and access are set. Runs until told to stop; gives the exit code.
 */
int daemon_run(struct daemon *daemon);
/* Reads the settings again, as SIGHUP asks. Failure: the old ones stay, all of them. */
int daemon_reload(struct daemon *daemon, struct settings_changes *changes, struct err *err);
/* What reading the settings has warned of, once. */
void daemon_log_warnings(struct settings *settings);
#endif
