#include "health.h"

#include <string.h>
#include <uv.h>

#include "../../protocol/json/json.h"
#include "../loop/daemon.h"

static const char *const status_names[] = {
	[STORE_OK] = "ok", [STORE_DEGRADED] = "degraded", [STORE_DOWN] = "down"};

struct report {
	struct buffer *out;
	enum store_health worst;
	bool first;
};

static void write_check(struct report *report, const char *name, enum store_health status,
	double latency_ms, const char *detail)
{
	struct buffer *out = report->out;

	if (status > report->worst)
		report->worst = status;
	if (!report->first)
		buffer_byte(out, ',');
	report->first = false;
	buffer_text(out, "{\"name\":\"");
	buffer_text(out, name);
	buffer_text(out, "\",\"status\":\"");
	buffer_text(out, status_names[status]);
	buffer_text(out, "\",\"latency_ms\":");
	json_write_real(out, latency_ms);
	if (detail != NULL && *detail != '\0') {
		buffer_text(out, ",\"detail\":");
		json_write_string(out, detail, strlen(detail));
	}
	buffer_byte(out, '}');
}

/* What the database said to the probe, or that it says nothing. */
static void check_database(struct health *health, struct report *report, bool answered)
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

/* What the store itself knows: connections lost, no room, a file replaced. */
static void check_store(struct health *health, struct report *report)
{
	struct store *store = health->daemon->store;
	char detail[ERR_MESSAGE_MAX] = "";
	enum store_health status = store->ops->health(store, detail);

	write_check(report, "store", status, 0, detail);
}

static void check_passwords(struct health *health, struct report *report)
{
	struct password_pool_stats stats;
	char detail[64] = "";
	bool full;

	password_pool_stats(health->daemon->passwords, &stats);
	full = stats.queued * 2 > health->daemon->settings.password_queue;
	if (full)
		(void)snprintf(detail, sizeof detail, "%u passwords wait", stats.queued);
	write_check(report, "passwords", full ? STORE_DEGRADED : STORE_OK, 0, detail);
}

/* Only when there is something to say. */
static void check_key(struct health *health, struct report *report)
{
	uint64_t sealed = seal_count_total(health->daemon->seal);
	char detail[160];

	if (sealed < SEAL_WARN)
		return;
	(void)snprintf(detail, sizeof detail,
		"the key has sealed %llu texts of the %llu that it may: change it (pierre-dbctl rotate-key)",
		(unsigned long long)sealed, (unsigned long long)SEAL_LIMIT);
	write_check(report, "key", STORE_DEGRADED, 0, detail);
}

static void check_loop(struct health *health, struct report *report)
{
	const struct daemon *daemon = health->daemon;
	bool draining = daemon->state != DAEMON_RUNNING, gone = !socket_in_place(&daemon->socket),
	     paused = daemon->pause.paused;
	double lag = (double)daemon->metrics.loop_lag_ns / 1e6;
	char waiting[80];

	write_check(report, "loop", lag > 500 ? STORE_DEGRADED : STORE_OK, lag, NULL);
	(void)snprintf(waiting, sizeof waiting, "paused: %u calls wait for daemon.resume",
		daemon->pause.count);
	write_check(report, "clients", draining || gone || paused ? STORE_DEGRADED : STORE_OK, 0,
		draining         ? "the daemon is stopping: it takes no new calls"
			: gone   ? "the socket's file is gone: nobody can connect any more"
			: paused ? waiting
				 : NULL);
}

/* For those who restart the daemon (live) or send it calls (ready). A thread that is stalled
 * although it has work is a reason to start anew; a database that is down is none. */
static void write_verdict(struct health *health, struct buffer *out, enum store_health worst)
{
	const struct daemon *daemon = health->daemon;
	struct store_stats stats = {0};
	bool ready =
		worst != STORE_DOWN && daemon->state == DAEMON_RUNNING && !daemon->pause.paused;

	daemon->store->ops->stats(daemon->store, &stats);
	buffer_text(out, stats.stalled_ns < HEALTH_STALL_NS ? ",\"live\":true" : ",\"live\":false");
	buffer_text(out, ready ? ",\"ready\":true" : ",\"ready\":false");
	buffer_text(out, ",\"database_age_ms\":");
	if (health->answered_at == 0)
		buffer_text(out, "null");
	else
		json_write_real(out, (double)(uv_hrtime() - health->answered_at) / 1e6);
}

/* The status stands before the checks that it follows from: the report is written behind a gap of
 * fixed size. */
static void write_health(struct health *health, struct buffer *out, bool answered)
{
	static const char head[] = "{\"status\":\"", backend[] = "\",\"backend\":\"",
			  checks[] = "\",\"checks\":[";
	struct buffer list = {.cap = 0};
	struct report report = {&list, STORE_OK, true};

	check_database(health, &report, answered);
	check_store(health, &report);
	check_loop(health, &report);
	check_passwords(health, &report);
	check_key(health, &report);
	buffer_text(out, head);
	buffer_text(out, status_names[report.worst]);
	buffer_text(out, backend);
	buffer_text(out, health->daemon->store->ops->name);
	buffer_text(out, checks);
	buffer_join(out, &list);
	buffer_byte(out, ']');
	write_verdict(health, out, report.worst);
	buffer_byte(out, '}');
	buffer_free(&list);
}

/* Answers everyone who waits. */
static void answer_all(struct health *health, bool answered)
{
	struct list waiting;

	list_init(&waiting);
	list_splice(&waiting, &health->waiting);
	while (!list_empty(&waiting)) {
		struct request *request = list_entry(list_first(&waiting), struct request, link);

		list_remove(&request->link);
		write_health(health, &request->call.answer, answered);
		dispatch_finish(request);
	}
}

static void on_probed(struct call *probe)
{
	struct health *health =
		(struct health *)(void *)((char *)probe - offsetof(struct health, probe));
	struct store *store = health->daemon->store;

	health->probing = false;
	health->asked_at = uv_hrtime();
	health->latency_ns = health->asked_at - health->probe_started;
	health->status = probe->err.kind == ERR_NONE ? STORE_OK : STORE_DOWN;
	if (health->status == STORE_OK)
		health->answered_at = health->asked_at;
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
	struct store *store = health->daemon->store;
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
	health->daemon->dispatch.submitted = true;
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

int health_init(struct health *health, struct daemon *daemon)
{
	*health = (struct health){.daemon = daemon};
	list_init(&health->waiting);
	list_init(&health->probe.link);
	arena_init(&health->probe.arena);
	order_init(&health->order);
	health->timer.data = health;
	return uv_timer_init(&daemon->loop, &health->timer);
}

void health_close(struct health *health)
{
	uv_close((uv_handle_t *)&health->timer, NULL);
}
