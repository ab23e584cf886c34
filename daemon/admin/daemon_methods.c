#include "daemon_methods.h"

#include <assert.h>
#include <string.h>

#include "../../protocol/json/json.h"
#include "../../protocol/json/json_add.h"
#include "../base/log.h"
#include "../base/process.h"
#include "admin.h"
#include "admin_methods.h"
#include "db_servers.h"
#include "diagnose.h"

static int daemon_methods_ping(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err)
{
	(void)input;
	(void)admin;
	(void)err;
	buffer_text(out, "\"pong\"");
	return 0;
}

static int daemon_methods_version(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err)
{
	struct store_version info = {0};

	(void)input;
	(void)err;
	admin->store->ops->version(admin->store, &info);
	json_add_object(out, NULL);
	json_add_text(out, "version", PIERRE_VERSION);
	json_add_text(out, "protocol", catalog_version);
	json_add_text(out, "backend", info.backend);
	json_add_integer(out, "schema_version", info.schema);
	json_add_text(
		out, strcmp(info.backend, "sqlite") == 0 ? "sqlite" : "postgresql", info.engine);
	json_add_end(out, '}');
	return 0;
}

/* What the rows of METRIC_LIST read. */
struct stats_sources {
	const struct admin *admin;
	const struct server *server;
	const struct dispatcher *dispatcher;
	struct store_stats store;
	struct process_usage usage;
	struct password_pool_stats passwords;
	uint64_t requests, errors, log_lines, log_dropped, draining;
};

static void stats_gather(struct admin *admin, struct stats_sources *from)
{
	*from = (struct stats_sources){.admin = admin,
		.server = admin->server,
		.dispatcher = admin->dispatcher,
		.log_lines = log_lines(),
		.log_dropped = log_dropped(),
		.draining = admin->dispatcher->stopping};
	admin->store->ops->stats(admin->store, &from->store);
	process_usage(&from->usage);
	password_pool_stats(admin->dispatcher->passwords, &from->passwords);
	metrics_totals(&admin->runtime->metrics, &from->requests, &from->errors);
}

enum metric_kind { METRIC_counter, METRIC_gauge };

static void write_kind(const struct stats_sources *from, enum metric_kind kind, const char *group,
	struct buffer *out)
{
#define COUNTED(kind, member, ...) {METRIC_##kind, #member, from->admin->runtime->metrics.member},
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
	json_add_object(out, "errors_by_kind");
	for (int kind = ERR_NONE + 1; kind < ERR_KIND_COUNT; kind++) {
		uint64_t count = metrics->refused[kind];

		for (size_t i = 0; i < catalog_method_count; i++)
			count += metrics->methods[i].outcomes[kind];
		json_add_count(out, err_info((enum err_kind)kind)->name, count);
	}
	json_add_end(out, '}');
}

static void write_last_error(const struct store_stats *store, struct buffer *out)
{
	char at[TIMESTAMP_TEXT_MAX];

	if (*store->last_error == '\0') {
		json_add_text(out, "db_last_error", NULL);
		return;
	}
	json_add_object(out, "db_last_error");
	json_add_text(out, "message", store->last_error);
	json_add_name(out, "at");
	json_write_string(out, at, timestamp_format(store->last_error_at, at));
	json_add_end(out, '}');
}

static int daemon_methods_stats(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err)
{
	struct stats_sources from;
	struct db_servers servers;

	(void)input;
	(void)err;
	stats_gather(admin, &from);
	json_add_object(out, NULL);
	json_add_real(out, "uptime_seconds", (double)(uv_hrtime() - admin->started_at) / 1e9);
	write_kind(&from, METRIC_counter, "counters", out);
	write_kind(&from, METRIC_gauge, "gauges", out);
	json_add_name(out, "methods");
	metrics_write_methods(&admin->runtime->metrics, out);
	daemon_methods_write_errors(&admin->runtime->metrics, out);
	write_last_error(&from.store, out);
	db_servers_ask(&servers, admin->store, admin->runtime->settings);
	db_servers_write(&servers, out);
	json_add_end(out, '}');
	return 0;
}

static int discover(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err)
{
	(void)input;
	(void)admin;
	(void)err;
	buffer_append(out, catalog_openrpc, catalog_openrpc_length);
	return 0;
}

static void begin_health(struct admin *admin, struct request *request)
{
	health_ask(&admin->health, request);
}

static void begin_wait(struct admin *admin, struct request *request)
{
	wait_for_begin(&admin->wait_for, request);
}

static const struct {
	const char *name;
	struct own_method method;
} handlers[] = {
	{"daemon.ping", {.answer = daemon_methods_ping}},
	{"daemon.version", {.answer = daemon_methods_version}},
	{"daemon.stats", {.answer = daemon_methods_stats}},
	{"rpc.discover", {.answer = discover}},
	{"daemon.clients", {.answer = admin_methods_clients}},
	{"daemon.config", {.answer = admin_methods_config}},
	{"daemon.reload", {.answer = admin_methods_reload}},
	{"daemon.pause", {.answer = admin_methods_pause}},
	{"daemon.resume", {.answer = admin_methods_resume}},
	{"daemon.diagnose", {.answer = diagnose_daemon}},
	{"daemon.backup", {.answer = admin_methods_backup}},
	{"daemon.backup_state", {.answer = admin_methods_backup_state}},
	{"daemon.health", {.begin = begin_health}},
	{"daemon.wait_for", {.in_turn = begin_wait}},
};

static struct own_method own_methods[UINT8_MAX + 1]; /* by a method's index */

const struct own_method *daemon_methods_init(void)
{
	for (size_t i = 0; i < catalog_method_count; i++) {
		bool found = catalog_methods[i].impl != IMPL_DAEMON &&
			catalog_methods[i].impl != IMPL_WAIT;

		for (size_t k = 0; k < sizeof handlers / sizeof *handlers; k++)
			if (strcmp(handlers[k].name, catalog_methods[i].name) == 0) {
				own_methods[i] = handlers[k].method;
				found = true;
			}
		assert(found); /* a method of the daemon in the catalog has no handler */
	}
	return own_methods;
}
