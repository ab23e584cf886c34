#include "daemon.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "log.h"
#include "notify.h"

enum { TICK_MS = 1000, STATUS_TICKS = 5, CLOSE_GRACE_NS = 500 * 1000 * 1000 };

static void on_due(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;

	daemon->due = 0;
	daemon->dispatch.submitted = true;
	daemon->store->ops->process(daemon->store);
}

/* The store's own next date may have moved: the timer follows it. */
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
	uv_update_time(&daemon->loop);
	(void)uv_timer_start(
		&daemon->due_timer, on_due, due > now ? (due - now) / 1000000 + 1 : 0, 0);
}

static void end_loop(struct daemon *daemon)
{
	daemon->abandoned = daemon->dispatch.calls > 0;
	daemon->state = DAEMON_STOPPING;
	uv_stop(&daemon->loop);
}

/* All is answered. What clients have sent until now is read once more, so that it is answered too
 * and not cut off. */
static void daemon_drained(struct daemon *daemon)
{
	list_for_each_safe (node, &daemon->server.connections)
		connection_read(list_entry(node, struct connection, link));
	server_iteration(&daemon->server);
	if (server_idle(&daemon->server))
		end_loop(daemon);
}

/* Before the loop waits, and after it has handled what came: calls go to the store together,
 * answers to the clients. */
static void iteration(struct daemon *daemon)
{
	if (daemon->state == DAEMON_STOPPING)
		return;
	daemon->dispatch.clock_stale = true;
	if (daemon->dispatch.submitted) {
		daemon->dispatch.submitted = false;
		daemon->store->ops->flush(daemon->store);
		set_due_timer(daemon);
	}
	server_iteration(&daemon->server);
	if (daemon->state == DAEMON_DRAINING && server_idle(&daemon->server))
		daemon_drained(daemon);
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct daemon *daemon = prepare->data;

	iteration(daemon);
	busy_poll_before_wait(
		&daemon->busy_poll, daemon->dispatch.calls <= 1 && daemon->state == DAEMON_RUNNING);
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
	busy_poll_heard(&daemon->busy_poll);
	daemon->dispatch.submitted = true; /* calls may be tried again */
	daemon->store->ops->process(daemon->store);
}

static void tell_status(struct daemon *daemon)
{
	struct store_stats stats = {0};

	daemon->store->ops->stats(daemon->store, &stats);
	notify_send(
		"STATUS=%s: %u clients, %u calls under way; %s: %u connections idle, %u active, %u calls waiting",
		daemon->state != DAEMON_RUNNING ? "stopping"
			: daemon->pause.paused  ? "paused"
						: "running",
		daemon->server.count, daemon->dispatch.calls, daemon->store->ops->name,
		stats.connections_idle, stats.connections_active, stats.queued);
}

static void measure_lag(struct daemon *daemon)
{
	uint64_t now = uv_hrtime();

	daemon->metrics.loop_lag_ns = now > daemon->next_tick ? now - daemon->next_tick : 0;
	if (daemon->metrics.loop_lag_ns > daemon->metrics.loop_lag_max_ns)
		daemon->metrics.loop_lag_max_ns = daemon->metrics.loop_lag_ns;
	daemon->next_tick = now + (uint64_t)TICK_MS * 1000000;
}

/* Ends at once and without further answers: the store is lost. */
static void daemon_fail(struct daemon *daemon, int exit_code, const char *reason)
{
	log_event(LOG_CRIT, "the store is lost: ending without further answers",
		log_text("reason", reason), log_number("exit_code", exit_code),
		log_number("calls", daemon->dispatch.calls));
	daemon->exit_code = exit_code;
	notify_send("STOPPING=1");
	end_loop(daemon);
}

static void on_tick(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;
	struct err err = {0};

	measure_lag(daemon);
	request_pool_trim(&daemon->dispatch.requests);
	dispatch_trim(&daemon->dispatch);
	server_trim(&daemon->server);
	server_look_for_peers(&daemon->server);
	if (daemon->store->ops->tick(daemon->store, &err) < 0) {
		daemon_fail(daemon, err.exit_code != 0 ? err.exit_code : EX_IOERR, err.message);
		return;
	}
	daemon->dispatch.submitted = true;
	set_due_timer(daemon);
	if (daemon->ticks++ % STATUS_TICKS == 0)
		tell_status(daemon);
	if (!daemon->socket_missing_logged && !socket_in_place(&daemon->socket)) {
		daemon->socket_missing_logged = true;
		log_event(LOG_WARNING,
			"the socket's file was removed or replaced: nobody can connect any more",
			log_text("socket", daemon->socket.path));
	}
	if (daemon->state != DAEMON_DRAINING)
		return;
	notify_send("EXTEND_TIMEOUT_USEC=%llu", 5000000ULL);
	if (uv_now(&daemon->loop) < daemon->drain_until)
		return;
	log_event(LOG_WARNING, "calls were still under way when the time to stop ran out",
		log_number("calls", daemon->dispatch.calls));
	end_loop(daemon);
}

/* Begins to drain. */
static void stop(struct daemon *daemon, const char *reason)
{
	log_event(LOG_NOTICE, "stopping", log_text("reason", reason),
		log_number("clients", daemon->server.count),
		log_number("calls", daemon->dispatch.calls));
	daemon->state = DAEMON_DRAINING;
	daemon->drain_until = uv_now(&daemon->loop) + daemon->settings.drain_timeout;
	daemon->end_by = uv_hrtime() + daemon->settings.drain_timeout * 1000000 + CLOSE_GRACE_NS;
	notify_send("STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu",
		(unsigned long long)daemon->settings.drain_timeout * 1000 + 5000000);
	server_stop_listening(&daemon->server);
	pause_give_up(&daemon->pause);
	/* So that a tick falls on the moment when the time is over. */
	(void)uv_timer_start(
		&daemon->tick, on_tick, daemon->settings.drain_timeout % TICK_MS, TICK_MS);
}

/* Comes when the loop turns; beats only while none of the store's threads has stood still for half
 * of systemd's patience. A database that does not answer is no such case: starting anew would not
 * mend it. */
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

/* Rules that cannot be read must be found before any setting is taken. */
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

int daemon_reload(struct daemon *daemon, struct settings_changes *changes, struct err *err)
{
	struct access access;
	int result = -1;

	notify_reloading();
	if (settings_reload(&daemon->settings, check_rules, changes, err) < 0 ||
		access_parse(&access, daemon->settings.access,
			(enum role)daemon->settings.default_role, err) < 0) {
		log_event(LOG_ERR, "reloading failed: the old settings stay",
			log_text("reason", err->message));
	} else {
		access_free(&daemon->access);
		daemon->access = access;
		server_reload(&daemon->server);
		log_set_level(settings_log_level(&daemon->settings));
		log_event(LOG_NOTICE, "settings were read again",
			log_text("changed", *changes->taken != '\0' ? changes->taken : NULL),
			log_text("need_restart",
				*changes->restart != '\0' ? changes->restart : NULL));
		daemon_log_warnings(&daemon->settings);
		daemon->reloads++;
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
		 * system wipes its memory before anybody else is given it. */
		log_event(LOG_WARNING, "a second signal: ending at once",
			log_number("calls", daemon->dispatch.calls));
		socket_close(&daemon->socket);
		log_stop();
		_exit(EX_OK);
	}
}

static int init_handles(struct daemon *daemon)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
	uv_loop_t *loop = &daemon->loop;
	uint64_t watchdog = (notify_watchdog_ms() + 3) / 4;

	(void)uv_prepare_init(loop, &daemon->prepare);
	(void)uv_check_init(loop, &daemon->check);
	(void)uv_timer_init(loop, &daemon->tick);
	(void)uv_timer_init(loop, &daemon->due_timer);
	(void)uv_timer_init(loop, &daemon->watchdog);
	busy_poll_init(&daemon->busy_poll, loop, (uint64_t)daemon->settings.busy_poll);
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

static int init_parts(struct daemon *daemon)
{
	daemon->started_at = uv_hrtime();
	daemon->started_wall = timestamp_now();
	daemon->next_tick = daemon->started_at + (uint64_t)TICK_MS * 1000000;
	dispatch_init(&daemon->dispatch);
	if (uv_loop_init(&daemon->loop) != 0 || metrics_init(&daemon->metrics) < 0 ||
		health_init(&daemon->health, daemon) < 0 ||
		pause_init(&daemon->pause, daemon) < 0 ||
		password_cost_init(&daemon->password_cost, daemon) < 0 ||
		server_init(&daemon->server, daemon) < 0 || init_handles(daemon) < 0)
		return -1;
	daemon->passwords =
		password_pool_new(&daemon->loop, (unsigned)daemon->settings.password_threads,
			(unsigned)daemon->settings.password_queue);
	if (daemon->passwords == NULL || server_listen(&daemon->server) < 0)
		return -1;
	password_cost_start(&daemon->password_cost);
	return 0;
}

static void close_handle(void *handle)
{
	uv_close(handle, NULL);
}

static void close_parts(struct daemon *daemon)
{
	server_close_handles(&daemon->server);
	health_close(&daemon->health);
	pause_close(&daemon->pause);
	password_cost_close(&daemon->password_cost);
	password_pool_free(daemon->passwords);
	close_handle(&daemon->prepare);
	close_handle(&daemon->check);
	close_handle(&daemon->tick);
	close_handle(&daemon->due_timer);
	close_handle(&daemon->watchdog);
	busy_poll_close(&daemon->busy_poll);
	close_handle(&daemon->store_poll);
	for (unsigned i = 0; i < 3; i++)
		close_handle(&daemon->signals[i]);
	(void)uv_run(&daemon->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&daemon->loop);
	server_free(&daemon->server);
	dispatch_free(&daemon->dispatch);
	metrics_free(&daemon->metrics);
}

/* For whoever reads later when the key was changed. */
static void tell_of_keys(const struct seal *seal)
{
	char key[17], previous[17];

	if (seal_previous(seal) == NULL)
		return;
	seal_fingerprint(seal, key);
	seal_fingerprint(seal_previous(seal), previous);
	log_event(LOG_NOTICE, "the key is being changed: pierre-dbctl rotate-key does it",
		log_text("key", key), log_text("previous_key", previous));
}

int daemon_run(struct daemon *daemon)
{
	if (init_parts(daemon) < 0) {
		log_event(LOG_CRIT, "the event loop cannot be set up");
		return EX_OSERR;
	}
	log_event(LOG_NOTICE, "ready", log_text("socket", daemon->socket.path),
		log_text("backend", daemon->store->ops->name));
	tell_of_keys(daemon->seal);
	notify_send("READY=1\nSTATUS=running");
	set_due_timer(daemon);
	(void)uv_run(&daemon->loop, UV_RUN_DEFAULT);
	if (daemon->abandoned) {
		/* The store returns what it still has; only after an orderly stop may that be told.
		 */
		password_pool_abandon(daemon->passwords);
		daemon->store->ops->close(daemon->store, uv_hrtime() + CLOSE_GRACE_NS);
		daemon->store = NULL;
		if (daemon->exit_code == EX_OK)
			server_iteration(&daemon->server);
		server_close_handles(&daemon->server);
		return daemon->exit_code;
	}
	close_parts(daemon);
	return daemon->exit_code;
}
