/* pierre-dbctl stats, metrics: daemon.stats for people, and as OpenMetrics. */
#include <jansson.h>
/* protocol/json.h has functions of these names; calling jansson's by them would end there. */
#pragma GCC poison json_string json_integer json_real
#include <stdio.h>
#include <string.h>

#include "tree.h"

static void print_numbers(const struct ctl *ctl, const char *title, json_t *numbers)
{
	const char *name;
	json_t *value;

	(void)printf("\n%s%s%s\n", ctl_bold(ctl), title, ctl_plain(ctl));
	json_object_foreach(numbers, name, value)
		(void)printf("  %-26s %.15g\n", name, json_number_value(value));
}

static void print_methods(const struct ctl *ctl, json_t *methods)
{
	const char *name;
	json_t *method;

	(void)printf("\n%s%-32s %10s %8s %10s %10s %10s %10s%s\n", ctl_bold(ctl), "method (times in µs)", "calls", "errors", "p50",
	             "p90", "p99", "max", ctl_plain(ctl));
	json_object_foreach(methods, name, method)
		(void)printf("%-31s %10.0f %8.0f %10.0f %10.0f %10.0f %10.0f\n", name, tree_number(method, "calls"),
		             tree_number(method, "errors"), tree_number(method, "p50"), tree_number(method, "p90"),
		             tree_number(method, "p99"), tree_number(method, "max"));
}

static int stats(struct ctl *ctl, int argc, char **argv)
{
	char *result;
	json_t *tree;
	int status;

	if (argc != 1)
		return ctl_fail(EX_USAGE, "%s takes no arguments", argv[0]);
	if (ctl->json) {
		status = ctl_call(ctl, "daemon.stats", NULL, &result);
		if (status == 0) {
			(void)puts(result);
			pierre_text_free(result);
		}
		return status;
	}
	status = tree_call(ctl, "daemon.stats", &tree);
	if (status != 0)
		return status;
	(void)printf("%sup%s %.0f s\n", ctl_bold(ctl), ctl_plain(ctl), tree_number(tree, "uptime_seconds"));
	print_numbers(ctl, "counters", json_object_get(tree, "counters"));
	print_numbers(ctl, "gauges", json_object_get(tree, "gauges"));
	print_methods(ctl, json_object_get(tree, "methods"));
	json_decref(tree);
	return 0;
}

/* OpenMetrics -------------------------------------------------------------------------------------------------- */

static void family(const char *name, const char *type, const char *unit, const char *help)
{
	(void)printf("# TYPE %s %s\n", name, type);
	if (unit != NULL)
		(void)printf("# UNIT %s %s\n", name, unit);
	(void)printf("# HELP %s %s\n", name, help);
}

/* Numbers of daemon.stats with a name and a unit of their own. What is in no row is given generically, by
 * print_others. */
static const struct known {
	const char *group, *member, *metric, *sample, *type, *unit, *help;
	double scale;
} known[] = {
	{"gauges", "clients", "pierre_dbd_clients", "", "gauge", NULL, "Clients that are connected.", 1},
	{"gauges", "clients_max", "pierre_dbd_clients_limit", "", "gauge", NULL, "Clients that may be connected.", 1},
	{"gauges", "loop_lag_ns", "pierre_dbd_loop_lag_seconds", "", "gauge", "seconds", "How late the event loop last was.", 1e-9},
	{"gauges", "loop_lag_max_ns", "pierre_dbd_loop_lag_max_seconds", "", "gauge", "seconds",
	 "How late the event loop was at most since the start.", 1e-9},
	{"gauges", "sqlite_wal_bytes", "pierre_dbd_sqlite_wal_bytes", "", "gauge", "bytes", "Size of SQLite's log.", 1},
	{"gauges", "client_memory_bytes", "pierre_dbd_client_memory_bytes", "", "gauge", "bytes", "Memory held for clients.", 1},
	{"gauges", "db_connections_max", "pierre_dbd_db_pool_connections_limit", "", "gauge", NULL,
	 "Database connections that may be open.", 1},
	{"gauges", "resident_bytes", "process_resident_memory_bytes", "", "gauge", "bytes", "Memory of the process.", 1},
	{"gauges", "descriptors", "process_open_fds", "", "gauge", NULL, "File descriptors that are open.", 1},
	{"gauges", "descriptors_max", "process_max_fds", "", "gauge", NULL, "File descriptors that may be open.", 1},
	{"gauges", "threads", "process_threads", "", "gauge", NULL, "Threads of the process.", 1},
	{"gauges", "started_at", "process_start_time_seconds", "", "gauge", "seconds",
	 "When the process was started, since 1970 in seconds.", 1e-6},
	{"counters", "bytes_in", "pierre_dbd_received_bytes", "_total", "counter", "bytes", "What clients sent.", 1},
	{"counters", "bytes_out", "pierre_dbd_sent_bytes", "_total", "counter", "bytes", "What clients were sent.", 1},
};

/* Members that take part in a metric with labels, or are the sum of one. */
static const char *const combined[] = {
	"requests", "errors", "db_connections_idle", "db_connections_active", "db_connections_connecting", "db_wait_ns", "db_waits",
	"cpu_user_us", "cpu_system_us",
};

static void print_known(const json_t *stats)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		const json_t *value = json_object_get(json_object_get(stats, known[i].group), known[i].member);

		if (value == NULL)
			continue;
		family(known[i].metric, known[i].type, known[i].unit, known[i].help);
		(void)printf("%s%s %.15g\n", known[i].metric, known[i].sample, json_number_value(value) * known[i].scale);
	}
}

static bool is_covered(const char *group, const char *member)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(known[i].group, group) == 0 && strcmp(known[i].member, member) == 0)
			return true;
	for (size_t i = 0; i < sizeof combined / sizeof combined[0]; i++)
		if (strcmp(combined[i], member) == 0)
			return true;
	return false;
}

/* Names are the daemon's own; others would break the format. */
static bool is_metric_name(const char *name)
{
	return *name != '\0' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static void print_others(json_t *stats, const char *group, const char *type, const char *suffix)
{
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(stats, group), name, value) {
		if (is_covered(group, name) || !is_metric_name(name))
			continue;
		(void)printf("# TYPE pierre_dbd_%s %s\n# HELP pierre_dbd_%s The member %s of daemon.stats.\npierre_dbd_%s%s %.15g\n", name,
		             type, name, name, name, suffix, json_number_value(value));
	}
}

static void print_pool(const json_t *stats)
{
	static const char *const states[] = {"idle", "active", "connecting"};
	const json_t *gauges = json_object_get(stats, "gauges"), *counters = json_object_get(stats, "counters");
	char member[64];

	family("pierre_dbd_db_pool_connections", "gauge", NULL, "Database connections by state.");
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
		(void)snprintf(member, sizeof member, "db_connections_%s", states[i]);
		(void)printf("pierre_dbd_db_pool_connections{state=\"%s\"} %.15g\n", states[i], tree_number(gauges, member));
	}
	family("pierre_dbd_db_pool_wait_seconds", "summary", "seconds", "Time that calls waited for a database connection or worker.");
	(void)printf("pierre_dbd_db_pool_wait_seconds_count %.15g\npierre_dbd_db_pool_wait_seconds_sum %.15g\n",
	             tree_number(counters, "db_waits"), tree_number(counters, "db_wait_ns") / 1e9);
	family("process_cpu_seconds", "counter", "seconds", "Processor time, user and system.");
	(void)printf("process_cpu_seconds_total %.15g\n",
	             (tree_number(counters, "cpu_user_us") + tree_number(counters, "cpu_system_us")) / 1e6);
}

static void print_requests(json_t *methods)
{
	const char *name, *kind;
	json_t *method, *count;

	family("pierre_dbd_requests", "counter", NULL, "Calls by method and outcome: ok, or the error's kind.");
	json_object_foreach(methods, name, method) {
		(void)printf("pierre_dbd_requests_total{method=\"%s\",outcome=\"ok\"} %.15g\n", name,
		             tree_number(method, "calls") - tree_number(method, "errors"));
		json_object_foreach(json_object_get(method, "errors_by_kind"), kind, count)
			(void)printf("pierre_dbd_requests_total{method=\"%s\",outcome=\"%s\"} %.15g\n", name, kind,
			             json_number_value(count));
	}
	family("pierre_dbd_request_rows", "counter", NULL, "Rows that calls gave or changed, by method.");
	json_object_foreach(methods, name, method)
		(void)printf("pierre_dbd_request_rows_total{method=\"%s\"} %.15g\n", name, tree_number(method, "rows"));
}

static void print_durations(json_t *methods)
{
	const char *name;
	json_t *method;
	const json_t *bucket;
	size_t i;

	family("pierre_dbd_request_duration_seconds", "histogram", "seconds",
	       "Time from a call's arrival until its answer is written, by method.");
	json_object_foreach(methods, name, method) {
		json_array_foreach(json_object_get(method, "buckets"), i, bucket)
			(void)printf("pierre_dbd_request_duration_seconds_bucket{method=\"%s\",le=\"%.10g\"} %.15g\n", name,
			             json_number_value(json_array_get(bucket, 0)), json_number_value(json_array_get(bucket, 1)));
		(void)printf("pierre_dbd_request_duration_seconds_bucket{method=\"%s\",le=\"+Inf\"} %.15g\n", name,
		             tree_number(method, "calls"));
		(void)printf("pierre_dbd_request_duration_seconds_count{method=\"%s\"} %.15g\n", name, tree_number(method, "calls"));
		(void)printf("pierre_dbd_request_duration_seconds_sum{method=\"%s\"} %.15g\n", name,
		             tree_number(method, "seconds_total"));
	}
}

static void print_errors(const json_t *stats)
{
	const char *kind;
	json_t *count;

	family("pierre_dbd_protocol_errors", "counter", NULL, "Errors that were answered, by kind.");
	json_object_foreach(json_object_get(stats, "errors_by_kind"), kind, count)
		(void)printf("pierre_dbd_protocol_errors_total{code=\"%s\"} %.15g\n", kind, json_number_value(count));
}

static int metrics(struct ctl *ctl, int argc, char **argv)
{
	json_t *tree, *methods;
	int status;

	if (argc != 1)
		return ctl_fail(EX_USAGE, "%s takes no arguments", argv[0]);
	status = tree_call(ctl, "daemon.stats", &tree);
	if (status != 0)
		return status;
	methods = json_object_get(tree, "methods");
	family("pierre_dbd_uptime_seconds", "gauge", "seconds", "Time since the daemon's start.");
	(void)printf("pierre_dbd_uptime_seconds %.15g\n", tree_number(tree, "uptime_seconds"));
	print_requests(methods);
	print_durations(methods);
	print_errors(tree);
	print_pool(tree);
	print_known(tree);
	print_others(tree, "counters", "counter", "_total");
	print_others(tree, "gauges", "gauge", "");
	(void)puts("# EOF");
	json_decref(tree);
	return 0;
}

const struct command metrics_commands[] = {
	{"stats", "", "counters, gauges and each method's latencies since the start",
	 "Examples:\n  pierre-dbctl stats\n  pierre-dbctl stats --json | jq .methods.get_user.p99", stats},
	{"metrics", "", "the same in the OpenMetrics format",
	 "Example (for node_exporter's textfile collector):\n"
	 "  pierre-dbctl metrics >/var/lib/node_exporter/pierre-dbd.prom.tmp &&\n"
	 "    mv /var/lib/node_exporter/pierre-dbd.prom.tmp /var/lib/node_exporter/pierre-dbd.prom\n\n"
	 "Units are seconds and bytes; labels are bounded by the number of methods and of kinds of errors.",
	 metrics},
	{0},
};
