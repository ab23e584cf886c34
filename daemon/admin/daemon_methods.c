#include "daemon_methods.h"

#include <assert.h>
#include <string.h>

#include "../../protocol/json/json.h"
#include "../../protocol/json/json_add.h"
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

/* What the rows of METRIC_LIST read. */
struct stats_sources {
	const struct daemon *daemon;
	struct store_stats store;
	struct process_usage usage;
	struct password_pool_stats passwords;
	uint64_t requests, errors, log_lines, log_dropped, draining;
};

static void stats_gather(struct daemon *daemon, struct stats_sources *from)
{
	*from = (struct stats_sources){.daemon = daemon,
		.log_lines = log_lines(),
		.log_dropped = log_dropped(),
		.draining = daemon->state != DAEMON_RUNNING};
	daemon->store->ops->stats(daemon->store, &from->store);
	process_usage(&from->usage);
	password_pool_stats(daemon->passwords, &from->passwords);
	metrics_totals(&daemon->metrics, &from->requests, &from->errors);
}

enum metric_kind { METRIC_counter, METRIC_gauge };

static void write_kind(const struct stats_sources *from, enum metric_kind kind, const char *group,
	struct buffer *out)
{
#define COUNTED(kind, member, ...) {METRIC_##kind, #member, from->daemon->metrics.member},
#define READ(kind, member, source, ...) {METRIC_##kind, #member, (uint64_t)from->source},
	const struct {
		enum metric_kind kind;
		const char *member;
		uint64_t value;
	} rows[] = {METRIC_LIST(COUNTED, READ)};
#undef COUNTED
#undef READ

	json_add_object(out, group);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].kind == kind)
			json_add_integer(out, rows[i].member, (int64_t)rows[i].value);
	json_add_end(out, '}');
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
	struct stats_sources from;

	(void)input;
	(void)err;
	stats_gather(daemon, &from);
	buffer_text(out, "{\"uptime_seconds\":");
	json_write_real(out, (double)(uv_hrtime() - daemon->started_at) / 1e9);
	write_kind(&from, METRIC_counter, "counters", out);
	write_kind(&from, METRIC_gauge, "gauges", out);
	buffer_text(out, ",\"methods\":");
	metrics_write_methods(&daemon->metrics, out);
	daemon_methods_write_errors(&daemon->metrics, out);
	write_last_error(&from.store, out);
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
