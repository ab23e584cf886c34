/* pierre-dbctl metrics: daemon.stats, health and version as OpenMetrics, or in Prometheus' older
 * text format. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../output.h"
#include "../options.h"
#include "metric_table.h"
#include "output_file.h"
#include "../catalog/tree.h"

struct printer {
	FILE *out;
	bool classic; /* Prometheus' text format: types belong to sample names, and there are no
	                 units */
};

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
	const char *engine = tree_text(version, "sqlite");

	family(to, "pierre_dbd_build");
	(void)fputs("pierre_dbd_build_info{", to->out);
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		print_label(to, members[i], tree_text(version, members[i]));
		(void)fputc(',', to->out);
	}
	print_label(to, "engine", *engine != '\0' ? engine : tree_text(version, "postgresql"));
	(void)fprintf(to->out, ",schema=\"%.0f\"} 1\n", tree_number(version, "schema_version"));
}

static void print_health(const struct printer *to, const json_t *health)
{
	const json_t *checks = json_object_get(health, "checks"), *check;
	size_t i;

	family(to, "pierre_dbd_check_status");
	json_array_foreach (checks, i, check) {
		const char *status = tree_text(check, "status");

		print_with_label(to, "pierre_dbd_check_status", "check", tree_text(check, "name"),
			strcmp(status, "ok") == 0                 ? 0
				: strcmp(status, "degraded") == 0 ? 1
								  : 2);
	}
	family(to, "pierre_dbd_check_latency_seconds");
	json_array_foreach (checks, i, check)
		print_with_label(to, "pierre_dbd_check_latency_seconds", "check",
			tree_text(check, "name"), tree_number(check, "latency_ms") / 1e3);
}

static void print_requests(const struct printer *to, json_t *methods)
{
	const char *name, *kind;
	json_t *method, *count;

	family(to, "pierre_dbd_requests");
	json_object_foreach (methods, name, method) {
		(void)fprintf(to->out,
			"pierre_dbd_requests_total{method=\"%s\",outcome=\"ok\"} %.15g\n", name,
			tree_number(method, "calls") - tree_number(method, "errors"));
		json_object_foreach (json_object_get(method, "errors_by_kind"), kind, count)
			(void)fprintf(to->out,
				"pierre_dbd_requests_total{method=\"%s\",outcome=\"%s\"} %.15g\n",
				name, kind, json_number_value(count));
	}
	family(to, "pierre_dbd_request_rows");
	json_object_foreach (methods, name, method)
		print_with_label(to, "pierre_dbd_request_rows_total", "method", name,
			tree_number(method, "rows"));
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
			tree_number(method, "calls"));
		(void)fprintf(to->out, "%s_count{method=\"%s\"} %.15g\n", sample, name,
			tree_number(method, "calls"));
		(void)fprintf(to->out, "%s_sum{method=\"%s\"} %.15g\n", sample, name,
			tree_number(method, "seconds_total"));
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
			tree_number(gauges, member));
	}
	family(to, "pierre_dbd_db_pool_wait_seconds");
	(void)fprintf(to->out,
		"pierre_dbd_db_pool_wait_seconds_count "
		"%.15g\npierre_dbd_db_pool_wait_seconds_sum %.15g\n",
		tree_number(counters, "db_waits"), tree_number(counters, "db_wait_ns") / 1e9);
	family(to, "process_cpu_seconds");
	(void)fprintf(to->out, "process_cpu_seconds_total %.15g\n",
		(tree_number(counters, "cpu_user_us") + tree_number(counters, "cpu_system_us")) /
			1e6);
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

static void print_all(
	const struct printer *to, const json_t *version, const json_t *health, json_t *stats)
{
	json_t *methods = json_object_get(stats, "methods");

	print_build(to, version);
	family(to, "pierre_dbd_uptime_seconds");
	(void)fprintf(
		to->out, "pierre_dbd_uptime_seconds %.15g\n", tree_number(stats, "uptime_seconds"));
	print_health(to, health);
	print_requests(to, methods);
	print_durations(to, methods);
	print_errors(to, stats);
	print_pool(to, stats);
	print_table(to, stats);
	print_others(to, stats, "counters", "counter");
	print_others(to, stats, "gauges", "gauge");
	(void)fputs("# EOF\n", to->out);
}

/* Writes a temporary file and renames it, so that a collector never reads a partial file. The file
 * is world-readable: it contains no secrets. */
static int ctl_metrics_write_file(
	const char *path, const json_t *version, const json_t *health, json_t *stats)
{
	struct printer to = {.classic = true};
	const char *objection = output_file_objection(path, OUTPUT_FILE_TEXT);
	char *temporary;
	int fd, status = 0;

	if (objection != NULL)
		return output_fail(EX_CANTCREAT, "%s %s", path, objection);
	if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0)
		return output_fail(EX_OSERR, "out of memory");
	(void)unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	to.out = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (to.out == NULL) {
		status = output_fail(
			EX_CANTCREAT, "cannot create %s: %s", temporary, strerror(errno));
		free(temporary);
		return status;
	}
	(void)fchmod(fd, 0644);
	print_all(&to, version, health, stats);
	if (fflush(to.out) != 0 || ferror(to.out) != 0)
		status = output_fail(EX_IOERR, "cannot write %s: %s", temporary, strerror(errno));
	(void)fclose(to.out);
	objection = output_file_objection(
		path, OUTPUT_FILE_TEXT); /* another process may have replaced the file */
	if (status == 0 && objection != NULL)
		status = output_fail(EX_CANTCREAT, "%s %s", path, objection);
	if (status == 0 && rename(temporary, path) != 0)
		status = output_fail(EX_CANTCREAT, "cannot replace %s: %s", path, strerror(errno));
	if (status != 0)
		(void)unlink(temporary);
	free(temporary);
	return status;
}

static int metrics(struct ctl *ctl, int argc, char **argv)
{
	json_t *stats = NULL, *health = NULL, *version = NULL;
	const char *file = NULL;
	bool markdown = false;
	const struct option_row rows[] = {
		{.name = "output", .text = &file}, {.name = "markdown", .flag = &markdown}, {0}};
	int words = options_read(rows, argc, argv), status;

	if (words < 0)
		return EX_USAGE;
	if (words > 0)
		return output_fail(EX_USAGE, "metrics accepts options only");
	if (ctl->json && (file != NULL || markdown))
		return output_fail(
			EX_USAGE, "--json cannot be combined with --output or --markdown");
	if (markdown) {
		metric_write_markdown();
		return 0;
	}
	status = tree_call(ctl, "daemon.version", &version);
	if (status == 0)
		status = tree_call(ctl, "daemon.health", &health);
	if (status == 0)
		status = tree_call(ctl, "daemon.stats", &stats);
	if (status == 0 && ctl->json)
		tree_print_new(ctl,
			json_pack("{sO sO sO}", "version", version, "health", health, "stats",
				stats));
	else if (status == 0 && file != NULL)
		status = ctl_metrics_write_file(file, version, health, stats);
	else if (status == 0)
		print_all(&(struct printer){.out = stdout}, version, health, stats);
	json_decref(version);
	json_decref(health);
	json_decref(stats);
	return status;
}

const struct command metrics_commands[] = {
	{"metrics", "[--output FILE]", "Print all metrics in the OpenMetrics format",
		"Examples:\n"
		"  pierre-dbctl metrics\n"
		"  pierre-dbctl metrics \\\n"
		"    --output /var/lib/prometheus/node-exporter/pierre-dbd.prom\n\n"
		"--output FILE  Write the Prometheus text format for the textfile collector of\n"
		"               node_exporter. The file is replaced atomically. It is left\n"
		"               unchanged when the daemon does not answer: monitor its age\n"
		"               (node_textfile_mtime_seconds).\n"
		"--markdown     Print a table of all metrics. No daemon is needed.\n"
		"--json         Print the results of daemon.version, daemon.health and\n"
		"               daemon.stats, from which the metrics are made.\n\n"
		"Units are seconds and bytes. The number of label values is bounded by the\n"
		"number of methods and of error kinds.",
		metrics},
	{0},
};
