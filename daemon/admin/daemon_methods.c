#include "daemon_methods.h"

#include <assert.h>
#include <string.h>

#include "../../protocol/json/json.h"
#include "../loop/daemon.h"
#include "../loop/log.h"
#include "../loop/process.h"

static void daemon_methods_write_text(struct buffer *out, const char *key, const char *text)
{
	buffer_text(out, key);
	json_write_string(out, text, strlen(text));
}

static int daemon_methods_ping(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err)
{
	(void)input;
	(void)daemon;
	(void)err;
	buffer_text(out, "\"pong\"");
	return 0;
}

static int daemon_methods_version(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err)
{
	struct store_version info = {0};

	(void)input;
	(void)err;
	daemon->store->ops->version(daemon->store, &info);
	daemon_methods_write_text(out, "{\"version\":", PIERRE_VERSION);
	daemon_methods_write_text(out, ",\"protocol\":", catalog_version);
	daemon_methods_write_text(out, ",\"backend\":", info.backend);
	buffer_text(out, ",\"schema_version\":");
	json_write_integer(out, info.schema);
	daemon_methods_write_text(out,
		strcmp(info.backend, "sqlite") == 0 ? ",\"sqlite\":" : ",\"postgresql\":",
		info.engine);
	buffer_byte(out, '}');
	return 0;
}

struct number {
	const char *name;
	uint64_t value;
};

static void write_numbers(struct buffer *out, const struct number *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		buffer_byte(out, i == 0 ? '{' : ',');
		buffer_byte(out, '"');
		buffer_text(out, numbers[i].name);
		buffer_text(out, "\":");
		json_write_integer(out, (int64_t)numbers[i].value);
	}
	buffer_byte(out, '}');
}

static void write_counters(struct daemon *daemon, const struct store_stats *store,
	const struct process_usage *usage, struct buffer *out)
{
	const struct metrics *m = &daemon->metrics;
	struct password_pool_stats passwords;
	uint64_t requests, errors;

	password_pool_stats(daemon->passwords, &passwords);
	metrics_totals(m, &requests, &errors);
	const struct number numbers[] = {
		{"requests", requests},
		{"errors", errors},
		{"lines", m->lines},
		{"batches", m->batches},
		{"notifications", m->notifications},
		{"slow_calls", m->slow_calls},
		{"calls_dropped", m->dropped},
		{"connections_accepted", m->accepted},
		{"connections_closed", m->closed},
		{"connections_refused", m->overloaded},
		{"accept_failures", m->accept_failures},
		{"line_timeouts", m->line_timeouts},
		{"write_timeouts", m->write_timeouts},
		{"reading_paused", m->paused},
		{"bytes_in", m->bytes_in},
		{"bytes_out", m->bytes_out},
		{"passwords_hashed", passwords.hashed},
		{"passwords_verified", passwords.verified},
		{"password_timeouts", passwords.timeouts},
		{"bcrypt_rounds", passwords.rounds},
		{"log_lines", log_lines()},
		{"log_dropped", log_dropped()},
		{"reloads", daemon->reloads},
		{"pauses", m->pauses},
		{"db_transactions", store->transactions},
		{"db_batched_calls", store->batched_calls},
		{"db_merged_calls", store->merged_calls},
		{"db_retries", store->retries},
		{"db_reconnects", store->reconnects},
		{"db_connect_failures", store->connect_failures},
		{"db_timeouts", store->timeouts},
		{"db_wait_ns", store->wait_ns_total},
		{"db_waits", store->wait_count},
		{"sqlite_checkpoints", store->checkpoints},
		{"sqlite_checkpoints_busy", store->checkpoint_busy},
		{"seals", store->seals},
		{"opens", store->opens},
		{"cpu_user_us", usage->cpu_user_us},
		{"cpu_system_us", usage->cpu_system_us},
	};

	buffer_text(out, ",\"counters\":");
	write_numbers(out, numbers, sizeof numbers / sizeof *numbers);
}

static void write_gauges(struct daemon *daemon, const struct store_stats *store,
	const struct process_usage *usage, struct buffer *out)
{
	struct password_pool_stats passwords;

	password_pool_stats(daemon->passwords, &passwords);
	const struct number numbers[] = {
		{"clients", daemon->server.count},
		{"clients_max", daemon->settings.connections},
		{"in_flight", daemon->dispatch.calls},
		{"client_memory_bytes", daemon->server.account.held},
		{"client_memory_peak_bytes", daemon->server.account.peak},
		{"draining", daemon->state != DAEMON_RUNNING},
		{"paused", daemon->pause.paused},
		{"paused_calls", daemon->pause.count},
		{"loop_lag_ns", daemon->metrics.loop_lag_ns},
		{"loop_lag_max_ns", daemon->metrics.loop_lag_max_ns},
		{"loop_long_line_bytes_max", daemon->server.long_bytes_max},
		{"loop_result_bytes_max", store->loop_bytes_max},
		{"password_threads", passwords.threads},
		{"passwords_running", passwords.running},
		{"passwords_queued", passwords.queued},
		{"db_connections_idle", store->connections_idle},
		{"db_connections_active", store->connections_active},
		{"db_connections_connecting", store->connections_connecting},
		{"db_connections_max", store->connections_max},
		{"db_queued", store->queued},
		{"db_running", store->running},
		{"db_batch_max", store->batch_max},
		{"sqlite_wal_bytes", store->wal_bytes},
		{"key_seals", store->key_seals},
		{"resident_bytes", usage->resident_bytes},
		{"descriptors", usage->descriptors},
		{"descriptors_max", usage->descriptor_limit},
		{"threads", usage->threads},
		{"started_at", (uint64_t)usage->started_at},
	};

	buffer_text(out, ",\"gauges\":");
	write_numbers(out, numbers, sizeof numbers / sizeof *numbers);
}

/* Errors of all methods, and of lines that named none, by kind. */
static void daemon_methods_write_errors(const struct metrics *metrics, struct buffer *out)
{
	bool first = true;

	buffer_text(out, ",\"errors_by_kind\":{");
	for (int kind = ERR_NONE + 1; kind < ERR_KIND_COUNT; kind++) {
		uint64_t count = metrics->refused[kind];

		for (size_t i = 0; i < catalog_method_count; i++)
			count += metrics->methods[i].outcomes[kind];
		if (!first)
			buffer_byte(out, ',');
		first = false;
		buffer_byte(out, '"');
		buffer_text(out, err_info((enum err_kind)kind)->name);
		buffer_text(out, "\":");
		json_write_integer(out, (int64_t)count);
	}
	buffer_byte(out, '}');
}

static void write_last_error(const struct store_stats *store, struct buffer *out)
{
	char at[TIMESTAMP_TEXT_MAX];

	buffer_text(out, ",\"db_last_error\":");
	if (*store->last_error == '\0') {
		buffer_text(out, "null");
		return;
	}
	daemon_methods_write_text(out, "{\"message\":", store->last_error);
	buffer_text(out, ",\"at\":");
	json_write_string(out, at, timestamp_format(store->last_error_at, at));
	buffer_byte(out, '}');
}

static int daemon_methods_stats(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err)
{
	struct store_stats store = {0};
	struct process_usage usage;

	(void)input;
	(void)err;
	daemon->store->ops->stats(daemon->store, &store);
	process_usage(&usage);
	buffer_text(out, "{\"uptime_seconds\":");
	json_write_real(out, (double)(uv_hrtime() - daemon->started_at) / 1e9);
	write_counters(daemon, &store, &usage, out);
	write_gauges(daemon, &store, &usage, out);
	buffer_text(out, ",\"methods\":");
	metrics_write_methods(&daemon->metrics, out);
	daemon_methods_write_errors(&daemon->metrics, out);
	write_last_error(&store, out);
	buffer_byte(out, '}');
	return 0;
}

static int discover(struct daemon *daemon, const struct method_input *input, struct buffer *out,
	struct err *err)
{
	(void)input;
	(void)daemon;
	(void)err;
	buffer_append(out, catalog_openrpc, catalog_openrpc_length);
	return 0;
}

static const struct {
	const char *name;
	daemon_method run;
} handlers[] = {
	{"daemon.ping", daemon_methods_ping}, {"daemon.version", daemon_methods_version},
	{"daemon.stats", daemon_methods_stats}, {"rpc.discover", discover},
	{"daemon.clients", admin_methods_clients}, {"daemon.config", admin_methods_config},
	{"daemon.reload", admin_methods_reload}, {"daemon.pause", admin_methods_pause},
	{"daemon.resume", admin_methods_resume}, {"daemon.diagnose", diagnose_daemon},
	{"daemon.backup", admin_methods_backup},
	{"daemon.backup_state", admin_methods_backup_state},
	{"daemon.health", NULL}, /* health_ask */
};

static daemon_method by_index[UINT8_MAX + 1];

void daemon_methods_init(void)
{
	for (size_t i = 0; i < catalog_method_count; i++) {
		bool found = catalog_methods[i].impl != IMPL_DAEMON;

		for (size_t k = 0; k < sizeof handlers / sizeof *handlers; k++)
			if (strcmp(handlers[k].name, catalog_methods[i].name) == 0) {
				by_index[i] = handlers[k].run;
				found = true;
			}
		assert(found); /* the catalog names a method of the daemon that nobody wrote */
	}
}

daemon_method daemon_method_of(const struct method *method)
{
	return by_index[method->index];
}
