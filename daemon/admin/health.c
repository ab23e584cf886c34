#include "health.h"

#include <string.h>
#include <uv.h>

#include "../../protocol/json/json_add.h"
#include "../calls/finish.h"
#include "admin.h"
#include "db_servers.h"

static const char *const status_names[] = {
	[STORE_OK] = "ok", [STORE_DEGRADED] = "degraded", [STORE_DOWN] = "down"};

struct health_report {
	struct buffer *out;
	enum store_health worst;
};

static void write_check(struct health_report *report, const char *name, enum store_health status,
	double latency_ms, const char *detail)
{
	struct buffer *out = report->out;

	if (status > report->worst)
		report->worst = status;
	json_add_object(out, NULL);
	json_add_text(out, "name", name);
	json_add_text(out, "status", status_names[status]);
	json_add_real(out, "latency_ms", latency_ms);
	if (detail != NULL && *detail != '\0')
		json_add_text(out, "detail", detail);
	json_add_end(out, '}');
}

/* The result of the probe, or how long it has had none. */
static void check_database(struct health *health, struct health_report *report, bool answered)
{
	uint64_t now = uv_hrtime();
	char detail[ERR_MESSAGE_MAX];

	if (answered) {
		write_check(report, "database", health->status, (double)health->latency_ns / 1e6,
			health->detail);
		return;
	}
	(void)snprintf(detail, sizeof detail, "no answer for %.1f s",
		(double)(now - health->probe_started) / 1e9);
	write_check(report, "database", STORE_DOWN, (double)(now - health->probe_started) / 1e6,
		detail);
}

/* What the store itself knows: lost connections, a full disk, a replaced file. */
static void check_store(struct health *health, struct health_report *report)
{
	struct store *store = health->admin->store;
	char detail[ERR_MESSAGE_MAX] = "";
	enum store_health status = store->ops->health(store, detail);

	write_check(report, "store", status, 0, detail);
}

/* A warning, not a failure: the primary answers what no standby can. */
static void check_standbys(struct health *health, struct health_report *report)
{
	const struct admin *admin = health->admin;
	struct db_servers servers;
	char detail[DB_SERVERS_TEXT_MAX];

	db_servers_ask(&servers, admin->store, admin->runtime->settings);
	if (servers.count > 0)
		write_check(
			report, "standbys", STORE_OK, 0, db_servers_complaint(&servers, detail));
}

static void check_passwords(struct health *health, struct health_report *report)
{
	struct password_pool_stats stats;
	char detail[64] = "";
	bool full;

	password_pool_stats(health->admin->dispatcher->passwords, &stats);
	full = stats.queued * 2 > health->admin->runtime->settings->password_queue;
	if (full)
		(void)snprintf(detail, sizeof detail, "%u passwords wait", stats.queued);
	write_check(report, "passwords", full ? STORE_DEGRADED : STORE_OK, 0, detail);
}

/* Only when its use is near the limit. */
static void check_key(struct health *health, struct health_report *report)
{
	uint64_t sealed = seal_count_total(health->admin->seal);
	char detail[160];

	if (sealed < SEAL_WARN)
		return;
	(void)snprintf(detail, sizeof detail,
		"the key has sealed %llu of at most %llu texts: change it (pierre-dbctl "
		"rotate-key)",
		(unsigned long long)sealed, (unsigned long long)SEAL_LIMIT);
	write_check(report, "key", STORE_DEGRADED, 0, detail);
}

static void check_loop(struct health *health, struct health_report *report)
{
	const struct admin *admin = health->admin;
	const struct pause *pause = &admin->dispatcher->pause;
	bool draining = admin->dispatcher->stopping, gone = !socket_in_place(admin->server->socket);
	double lag = (double)admin->runtime->metrics.loop_lag_ns / 1e6;
	char waiting[80];

	write_check(report, "loop", lag > 500 ? STORE_DEGRADED : STORE_OK, lag, NULL);
	(void)snprintf(
		waiting, sizeof waiting, "paused: %u calls wait for daemon.resume", pause->count);
	write_check(report, "clients",
		draining || gone || pause->paused ? STORE_DEGRADED : STORE_OK, 0,
		draining                ? "the daemon is stopping: it takes no new calls"
			: gone          ? "the socket file is missing: no client can connect"
			: pause->paused ? waiting
					: NULL);
}

/* For those who restart the daemon (live) or send it calls (ready). A thread that is stalled
 * although it has work is a reason to restart; a database that is down is none. */
static void write_verdict(struct health *health, struct buffer *out, enum store_health worst)
{
	const struct admin *admin = health->admin;
	const struct dispatcher *dispatcher = admin->dispatcher;
	struct store_stats stats = {0};

	admin->store->ops->stats(admin->store, &stats);
	json_add_bool(out, "live", stats.stalled_ns < HEALTH_STALL_NS);
	json_add_bool(out, "ready",
		worst != STORE_DOWN && !dispatcher->stopping && !dispatcher->pause.paused);
	if (health->answered_at == 0)
		json_add_text(out, "database_age_ms", NULL);
	else
		json_add_real(
			out, "database_age_ms", (double)(uv_hrtime() - health->answered_at) / 1e6);
}

/* The status comes before the checks that it follows from, which are therefore made first. */
static void write_health(struct health *health, struct buffer *out, bool answered)
{
	struct buffer checks = {.cap = 0};
	struct health_report report = {&checks, STORE_OK};

	json_add_array(&checks, NULL);
	check_database(health, &report, answered);
	check_store(health, &report);
	check_standbys(health, &report);
	check_loop(health, &report);
	check_passwords(health, &report);
	check_key(health, &report);
	json_add_end(&checks, ']');
	json_add_object(out, NULL);
	json_add_text(out, "status", status_names[report.worst]);
	json_add_text(out, "backend", health->admin->store->ops->name);
	json_add_name(out, "checks");
	buffer_join(out, &checks);
	write_verdict(health, out, report.worst);
	json_add_end(out, '}');
	buffer_free(&checks);
}

/* Answers all that wait. */
static void answer_all(struct health *health, bool answered)
{
	struct list waiting;

	list_init(&waiting);
	list_splice(&waiting, &health->waiting);
	while (!list_empty(&waiting)) {
		struct request *request = list_entry(list_first(&waiting), struct request, link);

		list_remove(&request->link);
		write_health(health, &request->call.answer, answered);
		finish_call(request);
	}
}

static void on_probed(struct call *probe)
{
	struct health *health =
		(struct health *)(void *)((char *)probe - offsetof(struct health, probe));
	struct store *store = health->admin->store;
	uint64_t now = uv_hrtime();

	health->probing = false;
	health->latency_ns = now - health->probe_started;
	health->status = probe->err.kind == ERR_NONE ? STORE_OK : STORE_DOWN;
	if (health->status == STORE_OK)
		health->answered_at = now;
	*health->detail = '\0';
	if (probe->err.kind != ERR_NONE) {
		memcpy(health->detail, probe->err.message, sizeof health->detail);
		if (store->ops->health(store, health->detail) == STORE_OK ||
			*health->detail == '\0')
			memcpy(health->detail, probe->err.message, sizeof health->detail);
	}
	arena_reset(&probe->arena);
	buffer_cut(&probe->answer, 0);
	(void)uv_timer_stop(&health->timer);
	answer_all(health, true);
}

static void health_on_timer(uv_timer_t *timer)
{
	answer_all(timer->data, false);
}

static void send_probe(struct health *health)
{
	struct store *store = health->admin->store;
	struct call *probe = &health->probe;

	health->probing = true;
	health->probe_started = uv_hrtime();
	probe->err.kind = ERR_NONE;
	probe->rows = 0;
	probe->attempts = 0;
	probe->kept = NULL;
	probe->now = timestamp_now();
	probe->deadline = health->probe_started + (uint64_t)HEALTH_WAIT_MS * 1000000;
	probe->order = &health->order;
	probe->done = on_probed;
	health->admin->dispatcher->submitted = true;
	(void)uv_timer_start(&health->timer, health_on_timer, HEALTH_WAIT_MS, 0);
	store->ops->ping(store, probe);
}

void health_ask(struct health *health, struct request *request)
{
	request_move(request, REQUEST_HEALTH);
	list_append(&health->waiting, &request->link);
	if (!health->probing)
		send_probe(health);
	else if (!uv_is_active((uv_handle_t *)&health->timer))
		(void)uv_timer_start(
			&health->timer, health_on_timer, 0, 0); /* that probe is overdue already */
}

int health_init(struct health *health, struct admin *admin)
{
	*health = (struct health){.admin = admin};
	list_init(&health->waiting);
	list_init(&health->probe.link);
	arena_init(&health->probe.arena);
	order_init(&health->order);
	health->timer.data = health;
	return uv_timer_init(&admin->runtime->loop, &health->timer);
}

void health_close(struct health *health)
{
	uv_close((uv_handle_t *)&health->timer, NULL);
	order_free(&health->order);
}
