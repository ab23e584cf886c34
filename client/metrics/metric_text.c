#include "metric_text.h"

#include <stdbool.h>
#include <string.h>

#include "metric_table.h"

struct printer {
	FILE *out;
	bool classic; /* Prometheus' text format: types belong to sample names, and there are no
	                 units */
};

/* The value of a member; "" or 0 when it is missing or of another type. */
static const char *member_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

static double member_number(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

static const char *sample_suffix(const char *type)
{
	return strcmp(type, "counter") == 0 ? "_total" : strcmp(type, "info") == 0 ? "_info" : "";
}

static void begin_family(const struct printer *to, const char *name, const char *type,
	const char *unit, const char *help)
{
	const char *suffix = to->classic ? sample_suffix(type) : "";

	(void)fprintf(to->out, "# TYPE %s%s %s\n", name, suffix,
		to->classic && strcmp(type, "info") == 0 ? "gauge" : type);
	if (unit != NULL && !to->classic)
		(void)fprintf(to->out, "# UNIT %s %s\n", name, unit);
	(void)fprintf(to->out, "# HELP %s%s %s\n", name, suffix, help);
}

static void family(const struct printer *to, const char *name)
{
	const struct metric *metric = metric_named(name);

	begin_family(to, name, metric->type, metric->unit, metric->help);
}

/* Escapes a label value for its quotes. */
static void print_label(const struct printer *to, const char *name, const char *value)
{
	(void)fprintf(to->out, "%s=\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\' || *value == '\n')
			(void)fputc('\\', to->out);
		(void)fputc(*value == '\n' ? 'n' : *value, to->out);
	}
	(void)fputc('"', to->out);
}

static void print_with_label(const struct printer *to, const char *sample, const char *label,
	const char *value, double number)
{
	(void)fprintf(to->out, "%s{", sample);
	print_label(to, label, value);
	(void)fprintf(to->out, "} %.15g\n", number);
}

static void print_build(const struct printer *to, const json_t *version)
{
	static const char *const members[] = {"version", "protocol", "backend"};
	const char *engine = member_text(version, "sqlite");

	family(to, "pierre_dbd_build");
	(void)fputs("pierre_dbd_build_info{", to->out);
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		print_label(to, members[i], member_text(version, members[i]));
		(void)fputc(',', to->out);
	}
	print_label(to, "engine", *engine != '\0' ? engine : member_text(version, "postgresql"));
	(void)fprintf(to->out, ",schema=\"%.0f\"} 1\n", member_number(version, "schema_version"));
}

static void print_health(const struct printer *to, const json_t *health)
{
	const json_t *checks = json_object_get(health, "checks"), *check;
	size_t i;

	family(to, "pierre_dbd_check_status");
	json_array_foreach (checks, i, check) {
		const char *status = member_text(check, "status");

		print_with_label(to, "pierre_dbd_check_status", "check", member_text(check, "name"),
			strcmp(status, "ok") == 0                 ? 0
				: strcmp(status, "degraded") == 0 ? 1
								  : 2);
	}
	family(to, "pierre_dbd_check_latency_seconds");
	json_array_foreach (checks, i, check)
		print_with_label(to, "pierre_dbd_check_latency_seconds", "check",
			member_text(check, "name"), member_number(check, "latency_ms") / 1e3);
	family(to, "pierre_dbd_ready");
	(void)fprintf(
		to->out, "pierre_dbd_ready %d\n", json_is_true(json_object_get(health, "ready")));
}

static void print_requests(const struct printer *to, json_t *methods)
{
	const char *name, *kind;
	json_t *method, *count;

	family(to, "pierre_dbd_requests");
	json_object_foreach (methods, name, method) {
		(void)fprintf(to->out,
			"pierre_dbd_requests_total{method=\"%s\",outcome=\"ok\"} %.15g\n", name,
			member_number(method, "calls") - member_number(method, "errors"));
		json_object_foreach (json_object_get(method, "errors_by_kind"), kind, count)
			(void)fprintf(to->out,
				"pierre_dbd_requests_total{method=\"%s\",outcome=\"%s\"} %.15g\n",
				name, kind, json_number_value(count));
	}
	family(to, "pierre_dbd_request_rows");
	json_object_foreach (methods, name, method)
		print_with_label(to, "pierre_dbd_request_rows_total", "method", name,
			member_number(method, "rows"));
}

static void print_durations(const struct printer *to, json_t *methods)
{
	static const char sample[] = "pierre_dbd_request_duration_seconds";
	const char *name;
	json_t *method;
	const json_t *bucket;
	size_t i;

	family(to, sample);
	json_object_foreach (methods, name, method) {
		json_array_foreach (json_object_get(method, "buckets"), i, bucket)
			(void)fprintf(to->out, "%s_bucket{method=\"%s\",le=\"%.12g\"} %.15g\n",
				sample, name, json_number_value(json_array_get(bucket, 0)),
				json_number_value(json_array_get(bucket, 1)));
		(void)fprintf(to->out, "%s_bucket{method=\"%s\",le=\"+Inf\"} %.15g\n", sample, name,
			member_number(method, "calls"));
		(void)fprintf(to->out, "%s_count{method=\"%s\"} %.15g\n", sample, name,
			member_number(method, "calls"));
		(void)fprintf(to->out, "%s_sum{method=\"%s\"} %.15g\n", sample, name,
			member_number(method, "seconds_total"));
	}
}

static void print_errors(const struct printer *to, const json_t *stats)
{
	const char *kind;
	json_t *count;

	family(to, "pierre_dbd_protocol_errors");
	json_object_foreach (json_object_get(stats, "errors_by_kind"), kind, count)
		print_with_label(to, "pierre_dbd_protocol_errors_total", "code", kind,
			json_number_value(count));
}

static void print_pool(const struct printer *to, const json_t *stats)
{
	static const char *const states[] = {"idle", "active", "connecting"};
	const json_t *gauges = json_object_get(stats, "gauges"),
		     *counters = json_object_get(stats, "counters");
	char member[64];

	family(to, "pierre_dbd_db_pool_connections");
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
		(void)snprintf(member, sizeof member, "db_connections_%s", states[i]);
		print_with_label(to, "pierre_dbd_db_pool_connections", "state", states[i],
			member_number(gauges, member));
	}
	family(to, "pierre_dbd_db_pool_wait_seconds");
	(void)fprintf(to->out,
		"pierre_dbd_db_pool_wait_seconds_count "
		"%.15g\npierre_dbd_db_pool_wait_seconds_sum %.15g\n",
		member_number(counters, "db_waits"), member_number(counters, "db_wait_ns") / 1e9);
	family(to, "process_cpu_seconds");
	(void)fprintf(to->out, "process_cpu_seconds_total %.15g\n",
		(member_number(counters, "cpu_user_us") +
			member_number(counters, "cpu_system_us")) /
			1e6);
}

static void print_reasons(const struct printer *to, const json_t *stats)
{
	static const char *const reasons[] = {
		"behind", "old", "conflict", "lost", "slow", "pending"};
	const json_t *counters = json_object_get(stats, "counters");
	char member[64];

	family(to, "pierre_dbd_primary_reads");
	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
		(void)snprintf(member, sizeof member, "primary_reads_%s", reasons[i]);
		print_with_label(to, "pierre_dbd_primary_reads_total", "reason", reasons[i],
			member_number(counters, member));
	}
}

/* A number of each server; null and absent members have no sample. */
static void print_by_server(const struct printer *to, const json_t *servers, const char *name,
	const char *member, double scale)
{
	const struct metric *metric = metric_named(name);
	char sample[128];
	const json_t *server, *value;
	size_t i;

	(void)snprintf(sample, sizeof sample, "%s%s", name, sample_suffix(metric->type));
	family(to, name);
	json_array_foreach (servers, i, server) {
		value = json_object_get(server, member);
		if (json_is_number(value))
			print_with_label(to, sample, "server", member_text(server, "host"),
				json_number_value(value) * scale);
	}
}

/* The daemon names its servers while it reads from standbys. */
static void print_server_metrics(const struct printer *to, const json_t *stats)
{
	const json_t *servers = json_object_get(stats, "servers"), *server;
	unsigned usable = 0;
	size_t i;

	if (servers == NULL)
		return;
	family(to, "pierre_dbd_server");
	json_array_foreach (servers, i, server) {
		(void)fputs("pierre_dbd_server_info{", to->out);
		print_label(to, "server", member_text(server, "host"));
		(void)fputc(',', to->out);
		print_label(to, "role", member_text(server, "role"));
		(void)fputs("} 1\n", to->out);
	}
	print_by_server(to, servers, "pierre_dbd_server_connections", "connections", 1);
	print_by_server(to, servers, "pierre_dbd_server_reads", "reads", 1);
	print_by_server(to, servers, "pierre_dbd_server_age_seconds", "age_ms", 1e-3);
	print_by_server(to, servers, "pierre_dbd_server_lag_bytes", "lag_bytes", 1);
	family(to, "pierre_dbd_server_usable");
	json_array_foreach (servers, i, server) {
		bool good = json_is_true(json_object_get(server, "usable"));

		usable += good;
		if (strcmp(member_text(server, "role"), "primary") != 0)
			print_with_label(to, "pierre_dbd_server_usable", "server",
				member_text(server, "host"), good);
	}
	family(to, "pierre_dbd_usable_standbys");
	(void)fprintf(to->out, "pierre_dbd_usable_standbys %u\n", usable);
}

static void print_table(const struct printer *to, const json_t *stats)
{
	for (const struct metric *metric = metric_table; metric < metric_table + metric_count;
		metric++) {
		const json_t *value = metric->name != NULL && metric->group != NULL
			? json_object_get(json_object_get(stats, metric->group), metric->member)
			: NULL;

		if (value == NULL)
			continue;
		family(to, metric->name);
		(void)fprintf(to->out, "%s%s %.15g\n", metric->name, sample_suffix(metric->type),
			json_number_value(value) * metric->scale);
	}
}

/* Prints counters of a newer daemon that are not in the table. Other names would break the format.
 */
static void print_others(
	const struct printer *to, json_t *stats, const char *group, const char *type)
{
	const char *name;
	json_t *value;
	char metric[128], help[192];

	json_object_foreach (json_object_get(stats, group), name, value) {
		if (metric_covers(group, name) || *name == '\0' ||
			name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0')
			continue;
		(void)snprintf(metric, sizeof metric, "pierre_dbd_%.100s", name);
		(void)snprintf(help, sizeof help, "The member %.100s of daemon.stats.", name);
		begin_family(to, metric, type, NULL, help);
		(void)fprintf(to->out, "%s%s %.15g\n", metric, sample_suffix(type),
			json_number_value(value));
	}
}

/* What the exporter itself has to say. */
static void print_exporter(const struct printer *to, const struct metric_exporter *exporter)
{
	family(to, "pierre_dbd_exporter_build");
	(void)fprintf(
		to->out, "pierre_dbd_exporter_build_info{version=\"%s\"} 1\n", exporter->version);
	family(to, "pierre_dbd_exporter_scrape_duration_seconds");
	(void)fprintf(
		to->out, "pierre_dbd_exporter_scrape_duration_seconds %.9g\n", exporter->seconds);
	family(to, "pierre_dbd_exporter_scrapes");
	(void)fprintf(to->out, "pierre_dbd_exporter_scrapes_total %llu\n",
		(unsigned long long)exporter->scrapes);
	family(to, "pierre_dbd_exporter_scrape_failures");
	(void)fprintf(to->out, "pierre_dbd_exporter_scrape_failures_total %llu\n",
		(unsigned long long)exporter->failures);
	family(to, "pierre_dbd_exporter_connections_dropped");
	(void)fprintf(to->out, "pierre_dbd_exporter_connections_dropped_total %llu\n",
		(unsigned long long)exporter->dropped);
}

void metric_text_write(FILE *out, enum metric_format format, const struct metric_source *source)
{
	const struct printer printer = {.out = out, .classic = format == METRIC_CLASSIC};
	const struct printer *to = &printer;
	json_t *stats = source->stats, *methods = json_object_get(stats, "methods");
	const json_t *health = source->health;

	print_build(to, source->version);
	family(to, "pierre_dbd_uptime_seconds");
	(void)fprintf(to->out, "pierre_dbd_uptime_seconds %.15g\n",
		member_number(stats, "uptime_seconds"));
	print_health(to, health);
	print_requests(to, methods);
	print_durations(to, methods);
	print_errors(to, stats);
	print_pool(to, stats);
	print_reasons(to, stats);
	print_server_metrics(to, stats);
	print_table(to, stats);
	print_others(to, stats, "counters", "counter");
	print_others(to, stats, "gauges", "gauge");
	if (source->exporter != NULL)
		print_exporter(to, source->exporter);
	(void)fputs("# EOF\n", out);
}
