#include "metric_table.h"

#include <stdio.h>
#include <string.h>

#include "../../protocol/metrics/metric_list.h"

/* A row of METRIC_LIST. */
#define METRIC_ROW(kind, member, metric, unit, scale, help)                                        \
	{                                                                                          \
		metric, #kind, unit, help, #kind "s", #member, scale                               \
	}
#define COUNTED(kind, member, ...) METRIC_ROW(kind, member, __VA_ARGS__),
#define READ(kind, member, source, ...) METRIC_ROW(kind, member, __VA_ARGS__),

const struct metric metric_table[] = {
	/* Printed by separate functions: they have labels, or combine several members. */
	{"pierre_dbd_build", "info", NULL,
		"Versions of the daemon, the method set, the backend and the schema.", NULL, NULL,
		1},
	{"pierre_dbd_uptime_seconds", "gauge", "seconds", "Time since the daemon started.", NULL,
		NULL, 1},
	{"pierre_dbd_check_status", "gauge", NULL,
		"Status of each health check: 0 ok, 1 degraded, 2 down.", NULL, NULL, 1},
	{"pierre_dbd_check_latency_seconds", "gauge", "seconds", "Duration of each health check.",
		NULL, NULL, 1},
	{"pierre_dbd_ready", "gauge", NULL, "1 while calls can be answered.", NULL, NULL, 1},
	{"pierre_dbd_requests", "counter", NULL,
		"Calls by method and outcome: ok, or the error kind.", NULL, NULL, 1},
	{"pierre_dbd_request_rows", "counter", NULL, "Rows returned or changed, by method.", NULL,
		NULL, 1},
	{"pierre_dbd_request_duration_seconds", "histogram", "seconds",
		"Time from the arrival of a call until its answer is written, by method.", NULL,
		NULL, 1},
	{"pierre_dbd_protocol_errors", "counter", NULL,
		"Errors returned, by kind, including those of lines without a known method.", NULL,
		NULL, 1},
	{"pierre_dbd_db_pool_connections", "gauge", NULL,
		"Database connections (SQLite: threads) by state.", NULL, NULL, 1},
	{"pierre_dbd_db_pool_wait_seconds", "summary", "seconds",
		"Time that calls waited for a database connection or thread.", NULL, NULL, 1},
	{"pierre_dbd_primary_reads", "counter", NULL,
		"Causal reads that the primary answered although standbys are read, by reason "
		"(PostgreSQL).",
		NULL, NULL, 1},
	{"pierre_dbd_server", "info", NULL,
		"PostgreSQL servers and their roles; this and the metrics by server are present "
		"while standbys are read.",
		NULL, NULL, 1},
	{"pierre_dbd_server_connections", "gauge", NULL, "Open connections, by server.", NULL, NULL,
		1},
	{"pierre_dbd_server_reads", "counter", NULL,
		"Causal reads that the server answered as a standby.", NULL, NULL, 1},
	{"pierre_dbd_server_usable", "gauge", NULL,
		"1 while the server can answer causal reads as a standby; not of a primary.", NULL,
		NULL, 1},
	{"pierre_dbd_server_age_seconds", "gauge", "seconds",
		"Age of the data that a standby shows; absent while unknown.", NULL, NULL, 1},
	{"pierre_dbd_server_lag_bytes", "gauge", "bytes",
		"Bytes of the primary's log that a standby has not replayed; absent while unknown.",
		NULL, NULL, 1},
	{"pierre_dbd_usable_standbys", "gauge", NULL,
		"Standbys that can answer causal reads; absent while none are to be read.", NULL,
		NULL, 1},
	{"process_cpu_seconds", "counter", "seconds", "Processor time, user and system.", NULL,
		NULL, 1},

	METRIC_LIST(COUNTED, READ)

	/* Only pierre-dbd-exporter prints these. */
	{"pierre_dbd_exporter_build", "info", NULL, "Version of the exporter.", NULL, NULL, 1},
	{"pierre_dbd_exporter_scrape_duration_seconds", "gauge", "seconds",
		"Exporter: time until the daemon had answered.", NULL, NULL, 1},
	{"pierre_dbd_exporter_scrapes", "counter", NULL,
		"Exporter: times that it has asked the daemon.", NULL, NULL, 1},
	{"pierre_dbd_exporter_scrape_failures", "counter", NULL,
		"Exporter: times that the daemon did not answer.", NULL, NULL, 1},
	{"pierre_dbd_exporter_connections_dropped", "counter", NULL,
		"Exporter: HTTP connections closed because they were too slow or too many.", NULL,
		NULL, 1},
};
const size_t metric_count = sizeof metric_table / sizeof *metric_table;

const struct metric *metric_named(const char *name)
{
	for (size_t i = 0; i < metric_count; i++)
		if (metric_table[i].name != NULL && strcmp(metric_table[i].name, name) == 0)
			return &metric_table[i];
	return NULL;
}

bool metric_covers(const char *group, const char *member)
{
	for (size_t i = 0; i < metric_count; i++)
		if (metric_table[i].member != NULL && strcmp(metric_table[i].group, group) == 0 &&
			strcmp(metric_table[i].member, member) == 0)
			return true;
	return false;
}

void metric_write_markdown(void)
{
	(void)puts("| metric | type | |\n|---|---|---|");
	for (const struct metric *metric = metric_table; metric < metric_table + metric_count;
		metric++) {
		const char *suffix = strcmp(metric->type, "counter") == 0 ? "_total"
			: strcmp(metric->type, "info") == 0               ? "_info"
									  : "";

		if (metric->name == NULL)
			continue;
		(void)printf(
			"| `%s%s` | %s | %s |\n", metric->name, suffix, metric->type, metric->help);
	}
}
