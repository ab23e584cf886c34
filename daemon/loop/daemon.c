#include "daemon.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "../../protocol/state.h"
#include "../admin/admin.h"
#include "../admin/daemon_methods.h"
#include "../base/log.h"
#include "../base/runtime.h"
#include "../calls/dispatch.h"
#include "../clients/server.h"
#include "notify.h"

enum { TICK_MS = 1000, STATUS_TICKS = 5, CLOSE_GRACE_NS = 500 * 1000 * 1000 };

enum daemon_state {
	DAEMON_RUNNING,
	DAEMON_DRAINING, /* asked to stop: calls in flight are answered, no new one begins */
	DAEMON_STOPPING, /* handles are closing */
};

static const char *const daemon_state_names[] = {[DAEMON_RUNNING] = "running",
	[DAEMON_DRAINING] = "draining",
	[DAEMON_STOPPING] = "stopping"};
static const uint32_t next_daemon_states[] = {
	[DAEMON_RUNNING] = STATE(DAEMON_DRAINING) | STATE(DAEMON_STOPPING),
	[DAEMON_DRAINING] = STATE(DAEMON_STOPPING),
	[DAEMON_STOPPING] = 0,
};
static const struct state_machine daemon_states = {
	"daemon", daemon_state_names, next_daemon_states, DAEMON_STOPPING + 1};

struct daemon {
	struct runtime runtime;
	struct daemon_parts *parts;
	struct daemon_end *end;
	struct store *store;
	struct server server;
	struct dispatcher dispatcher;
	struct admin admin;
	uint8_t state;        /* enum daemon_state */
	uint64_t drain_until; /* uv_now */
	uint64_t due;         /* what the due timer is set to, ns; 0 = not */
	uint64_t next_tick;   /* uv_hrtime when the tick should come */
	bool starving;        /* the watchdog is not fed */
	uint64_t ticks;
	bool socket_missing_logged;
	uv_poll_t store_poll;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_timer_t tick, due_timer, watchdog;
	uv_signal_t signals[3];
};

/* Threads may still work with it when the process ends. */
static struct daemon running;

static void on_due(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;

	daemon->due = 0;
	daemon->dispatcher.submitted = true;
	daemon->store->ops->process(daemon->store);
}

/* The store's next deadline may have moved: the timer follows it. */
static void set_due_timer(struct daemon *daemon)
{
	uint64_t due = daemon->store->ops->next_due(daemon->store), now;

	if (due == daemon->due)
		return;
	daemon->due = due;
	if (due == 0) {
		(void)uv_timer_stop(&daemon->due_timer);
		return;
	}
	now = uv_hrtime();
	uv_update_time(&daemon->runtime.loop);
	(void)uv_timer_start(
		&daemon->due_timer, on_due, due > now ? (due - now) / 1000000 + 1 : 0, 0);
}

static void end_loop(struct daemon *daemon)
{
	state_change(&daemon_states, &daemon->state, DAEMON_STOPPING, 0);
	uv_stop(&daemon->runtime.loop);
}

static bool all_answered(const struct daemon *daemon)
{
	return daemon->dispatcher.in_flight == 0 && server_idle(&daemon->server);
}

/* What clients have sent until now is read once more, so that it is answered too and not cut off.
 */
static void daemon_drained(struct daemon *daemon)
{
	server_read_rest(&daemon->server);
	server_iteration(&daemon->server);
	if (all_answered(daemon))
		end_loop(daemon);
}

/* Before the loop waits, and after it has handled what came: calls go to the store together,
 * answers to the clients. */
static void iteration(struct daemon *daemon)
{
	if (daemon->state == DAEMON_STOPPING)
		return;
	daemon->runtime.clock.stale = true;
	if (daemon->dispatcher.submitted) {
		dispatch_flush(&daemon->dispatcher);
		set_due_timer(daemon);
	}
	server_iteration(&daemon->server);
	if (daemon->store->ops->memory(daemon->store,
		    scheduler_room(&daemon->server.set.scheduler, daemon->dispatcher.expected))) {
		dispatch_flush(&daemon->dispatcher);
		set_due_timer(daemon);
		server_iteration(&daemon->server);
	}
	if (daemon->state == DAEMON_DRAINING && all_answered(daemon))
		daemon_drained(daemon);
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct daemon *daemon = prepare->data;

	iteration(daemon);
	busy_poll_before_wait(&daemon->runtime.busy_poll,
		daemon->dispatcher.in_flight <= 1 && daemon->state == DAEMON_RUNNING);
}

static void on_check(uv_check_t *check)
{
	iteration(check->data);
}

static void on_store(uv_poll_t *poll, int status, int events)
{
	struct daemon *daemon = poll->data;

	(void)status;
	(void)events;
	busy_poll_heard(&daemon->runtime.busy_poll);
	daemon->dispatcher.submitted = true; /* calls may be tried again */
	daemon->store->ops->process(daemon->store);
}

static void tell_status(struct daemon *daemon)
{
	struct store_stats stats = {0};

	daemon->store->ops->stats(daemon->store, &stats);
	notify_send(
		"STATUS=%s: %u clients, %u calls in flight; %s: %u connections idle, %u active, "
		"%u calls waiting",
		daemon->state != DAEMON_RUNNING           ? "stopping"
			: daemon->dispatcher.pause.paused ? "paused"
							  : "running",
		daemon->server.set.count, daemon->dispatcher.in_flight, daemon->store->ops->name,
		stats.connections_idle, stats.connections_active, stats.queued);
}

static void measure_lag(struct daemon *daemon)
{
	uint64_t now = uv_hrtime();

	daemon->runtime.metrics.loop_lag_ns = now > daemon->next_tick ? now - daemon->next_tick : 0;
	if (daemon->runtime.metrics.loop_lag_ns > daemon->runtime.metrics.loop_lag_max_ns)
		daemon->runtime.metrics.loop_lag_max_ns = daemon->runtime.metrics.loop_lag_ns;
	daemon->next_tick = now + (uint64_t)TICK_MS * 1000000;
}

/* Ends at once and without further answers: the store is lost. */
static void daemon_fail(struct daemon *daemon, int exit_code, const char *reason)
{
	log_event(LOG_CRIT, "the store has failed: ending without further answers",
		log_text("reason", reason), log_number("exit_code", exit_code),
		log_number("calls", daemon->dispatcher.in_flight));
	daemon->end->exit_code = exit_code;
	notify_send("STOPPING=1");
	end_loop(daemon);
}

static void on_tick(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;
	struct err err = {0};

	if (daemon->state == DAEMON_STOPPING)
		return;
	measure_lag(daemon);
	dispatch_trim(&daemon->dispatcher);
	server_trim(&daemon->server);
	server_check_peers(&daemon->server);
	if (daemon->store->ops->tick(daemon->store, &err) < 0) {
		daemon_fail(daemon, err.exit_code != 0 ? err.exit_code : EX_IOERR, err.message);
		return;
	}
	daemon->dispatcher.submitted = true;
	set_due_timer(daemon);
	if (daemon->ticks++ % STATUS_TICKS == 0)
		tell_status(daemon);
	if (!daemon->socket_missing_logged && !socket_in_place(&daemon->parts->socket)) {
		daemon->socket_missing_logged = true;
		log_event(LOG_WARNING,
			"the socket file was removed or replaced: no client can connect any more",
			log_text("socket", daemon->parts->socket.path));
	}
	if (daemon->state != DAEMON_DRAINING)
		return;
	notify_send("EXTEND_TIMEOUT_USEC=%llu", 5000000ULL);
	if (uv_now(&daemon->runtime.loop) < daemon->drain_until)
		return;
	log_event(LOG_WARNING, "calls were still in flight when the drain time-out ended",
		log_number("calls", daemon->dispatcher.in_flight));
	end_loop(daemon);
}

/* Begins to drain. */
static void stop(struct daemon *daemon, const char *reason)
{
	log_event(LOG_NOTICE, "stopping", log_text("reason", reason),
		log_number("clients", daemon->server.set.count),
		log_number("calls", daemon->dispatcher.in_flight));
	state_change(&daemon_states, &daemon->state, DAEMON_DRAINING, 0);
	daemon->dispatcher.stopping = true;
	daemon->drain_until = uv_now(&daemon->runtime.loop) + daemon->parts->settings.drain_timeout;
	daemon->end->close_by =
		uv_hrtime() + daemon->parts->settings.drain_timeout * 1000000 + CLOSE_GRACE_NS;
	notify_send("STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu",
		(unsigned long long)daemon->parts->settings.drain_timeout * 1000 + 5000000);
	server_stop_listening(&daemon->server);
	pause_give_up(&daemon->dispatcher.pause);
	wait_for_give_up(&daemon->admin.wait_for);
	/* So that a tick falls on the moment when the time is over. */
	(void)uv_timer_start(
		&daemon->tick, on_tick, daemon->parts->settings.drain_timeout % TICK_MS, TICK_MS);
}

/* Fires while the loop runs, and feeds systemd's watchdog unless a thread of the store has been
 * stalled for half of its time-out. A database that does not answer is no such case: a restart
 * would not help. */
static void on_watchdog(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;
	struct store_stats stats = {0};
	bool stalled;

	daemon->store->ops->stats(daemon->store, &stats);
	stalled = stats.stalled_ns / 1000000 > notify_watchdog_ms() / 2;
	if (!stalled)
		notify_send("WATCHDOG=1");
	else if (!daemon->starving)
		log_event(LOG_WARNING, "the storage thread is stalled: the watchdog is not fed",
			log_number("milliseconds", (long long)(stats.stalled_ns / 1000000)),
			log_number("running", stats.running), log_number("queued", stats.queued));
	daemon->starving = stalled;
}

/* Invalid rules must be found before any setting is taken. */
static int check_rules(const struct settings *next, struct err *err)
{
	struct access access;

	if (access_parse(&access, next->access, (enum role)next->default_role, err) < 0)
		return -1;
	access_free(&access);
	return 0;
}

void daemon_log_warnings(struct settings *settings)
{
	char *line = settings->warnings, *end;

	for (; line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		log_event(LOG_WARNING, line);
	}
	free(settings->warnings);
	settings->warnings = NULL;
}

static int daemon_reload(void *owner, struct settings_changes *changes, struct err *err)
{
	struct daemon *daemon = owner;
	struct settings *settings = &daemon->parts->settings;
	struct access access;
	int result = -1;

	notify_reloading();
	if (settings_reload(settings, check_rules, changes, err) < 0 ||
		access_parse(&access, settings->access, (enum role)settings->default_role, err) <
			0) {
		log_event(LOG_ERR, "reloading failed: the old settings stay",
			log_text("reason", err->message));
	} else {
		access_free(&daemon->parts->access);
		daemon->parts->access = access;
		server_reload(&daemon->server);
		log_set_level(settings_log_level(settings));
		log_event(LOG_NOTICE, "settings were read again",
			log_text("changed", *changes->taken != '\0' ? changes->taken : NULL),
			log_text("need_restart",
				*changes->restart != '\0' ? changes->restart : NULL));
		daemon_log_warnings(settings);
		daemon->admin.reloads++;
		result = 0;
	}
	notify_send("READY=1");
	return result;
}

static void daemon_on_signal(uv_signal_t *handle, int number)
{
	struct daemon *daemon = handle->data;

	if (number == SIGHUP) {
		struct settings_changes changes;
		struct err err = {0};

		if (daemon->state == DAEMON_RUNNING)
			(void)daemon_reload(daemon, &changes, &err); /* the log has it */
	} else if (daemon->state == DAEMON_RUNNING) {
		stop(daemon, number == SIGTERM ? "SIGTERM" : "SIGINT");
	} else {
		/* Every answered write is durable already: nothing is lost by ending at once. The
		 * store's threads still use the key, which therefore goes with the process: the
		 * system wipes its memory before another process gets it. */
		log_event(LOG_WARNING, "second signal: ending at once",
			log_number("calls", daemon->dispatcher.in_flight));
		socket_close(&daemon->parts->socket);
		log_stop();
		_exit(EX_OK);
	}
}

static int init_handles(struct daemon *daemon)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
	uv_loop_t *loop = &daemon->runtime.loop;
	uint64_t watchdog = (notify_watchdog_ms() + 3) / 4;

	(void)uv_prepare_init(loop, &daemon->prepare);
	(void)uv_check_init(loop, &daemon->check);
	(void)uv_timer_init(loop, &daemon->tick);
	(void)uv_timer_init(loop, &daemon->due_timer);
	(void)uv_timer_init(loop, &daemon->watchdog);
	busy_poll_init(
		&daemon->runtime.busy_poll, loop, (uint64_t)daemon->parts->settings.busy_poll);
	daemon->prepare.data = daemon->check.data = daemon->tick.data = daemon->due_timer.data =
		daemon->watchdog.data = daemon;
	(void)uv_prepare_start(&daemon->prepare, on_prepare);
	(void)uv_check_start(&daemon->check, on_check);
	(void)uv_timer_start(&daemon->tick, on_tick, TICK_MS, TICK_MS);
	if (watchdog > 0)
		(void)uv_timer_start(&daemon->watchdog, on_watchdog, watchdog, watchdog);
	for (unsigned i = 0; i < 3; i++) {
		if (uv_signal_init(loop, &daemon->signals[i]) != 0 ||
			uv_signal_start(&daemon->signals[i], daemon_on_signal, numbers[i]) != 0)
			return -1;
		daemon->signals[i].data = daemon;
	}
	if (uv_poll_init(loop, &daemon->store_poll, daemon->store->ops->fd(daemon->store)) != 0)
		return -1;
	daemon->store_poll.data = daemon;
	return uv_poll_start(&daemon->store_poll, UV_READABLE, on_store);
}

static void init_admin(struct daemon *daemon)
{
	daemon->admin = (struct admin){.runtime = &daemon->runtime,
		.store = daemon->store,
		.seal = daemon->parts->seal,
		.server = &daemon->server,
		.dispatcher = &daemon->dispatcher,
		.started_at = uv_hrtime(),
		.started_wall = timestamp_now(),
		.reload = daemon_reload,
		.owner = daemon};
}

static int init_rooms(struct daemon *daemon)
{
	const struct dispatch_parts calls = {.runtime = &daemon->runtime,
		.store = daemon->store,
		.own_methods = daemon_methods_init(),
		.admin = &daemon->admin};
	const struct server_parts clients = {.runtime = &daemon->runtime,
		.socket = &daemon->parts->socket,
		.access = &daemon->parts->access,
		.events = &dispatch_events,
		.owner = &daemon->dispatcher};

	init_admin(daemon);
	daemon->next_tick = daemon->admin.started_at + (uint64_t)TICK_MS * 1000000;
	daemon->runtime.settings = &daemon->parts->settings;
	daemon->runtime.clock.stale = true;
	if (uv_loop_init(&daemon->runtime.loop) != 0 ||
		metrics_init(&daemon->runtime.metrics) < 0 ||
		dispatch_init(&daemon->dispatcher, &calls) < 0 ||
		health_init(&daemon->admin.health, &daemon->admin) < 0 ||
		wait_for_init(&daemon->admin.wait_for, &daemon->admin) < 0 ||
		server_init(&daemon->server, &clients) < 0 || init_handles(daemon) < 0)
		return -1;
	if (server_listen(&daemon->server) < 0)
		return -1;
	password_cost_start(&daemon->dispatcher.password_cost);
	return 0;
}

static void close_handle(void *handle)
{
	uv_close(handle, NULL);
}

static void close_rooms(struct daemon *daemon)
{
	server_close_handles(&daemon->server);
	health_close(&daemon->admin.health);
	wait_for_close(&daemon->admin.wait_for);
	dispatch_close_handles(&daemon->dispatcher);
	close_handle(&daemon->prepare);
	close_handle(&daemon->check);
	close_handle(&daemon->tick);
	close_handle(&daemon->due_timer);
	close_handle(&daemon->watchdog);
	busy_poll_close(&daemon->runtime.busy_poll);
	close_handle(&daemon->store_poll);
	for (unsigned i = 0; i < 3; i++)
		close_handle(&daemon->signals[i]);
	(void)uv_run(&daemon->runtime.loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&daemon->runtime.loop);
	server_free(&daemon->server);
	dispatch_free(&daemon->dispatcher);
	metrics_free(&daemon->runtime.metrics);
}

static void log_key_change(const struct seal *seal)
{
	char key[17], previous[17];

	if (seal_previous(seal) == NULL)
		return;
	seal_fingerprint(seal, key);
	seal_fingerprint(seal_previous(seal), previous);
	log_event(LOG_NOTICE, "the key is being changed: pierre-dbctl rotate-key does it",
		log_text("key", key), log_text("previous_key", previous));
}

/* Ended with calls in flight. The store ends what it still has; only after an orderly stop may
 * that be answered. */
static void daemon_abandon(struct daemon *daemon)
{
	password_pool_abandon(daemon->dispatcher.passwords);
	daemon->store->ops->close(daemon->store, uv_hrtime() + CLOSE_GRACE_NS);
	daemon->parts->store = daemon->store = NULL;
	if (daemon->end->exit_code == EX_OK)
		server_iteration(&daemon->server);
	server_close_handles(&daemon->server);
}

void daemon_run(struct daemon_parts *parts, struct daemon_end *end)
{
	struct daemon *daemon = &running;

	*end = (struct daemon_end){.exit_code = EX_OK};
	*daemon = (struct daemon){.parts = parts, .end = end, .store = parts->store};
	if (init_rooms(daemon) < 0) {
		log_event(LOG_CRIT, "the event loop cannot be set up");
		end->exit_code = EX_OSERR;
		return;
	}
	log_event(LOG_NOTICE, "ready", log_text("socket", parts->socket.path),
		log_text("backend", daemon->store->ops->name));
	log_key_change(parts->seal);
	notify_send("READY=1\nSTATUS=running");
	set_due_timer(daemon);
	(void)uv_run(&daemon->runtime.loop, UV_RUN_DEFAULT);
	/* Not earlier: the loop may have read one more call after it was told to end. */
	end->abandoned = daemon->dispatcher.in_flight > 0;
	if (end->abandoned)
		daemon_abandon(daemon);
	else
		close_rooms(daemon);
}
