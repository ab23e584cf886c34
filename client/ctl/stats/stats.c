/* pierre-dbctl stats: daemon.stats as a table. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../options.h"
#include "../output.h"
#include "../connect.h"
#include "../catalog/tree.h"

static void print_numbers(const struct ctl *ctl, const char *title, json_t *numbers)
{
	const char *name;
	json_t *value;

	(void)printf("\n%s%s%s\n", output_bold(ctl), title, output_plain(ctl));
	json_object_foreach (numbers, name, value)
		(void)printf("  %-26s %.15g\n", name, json_number_value(value));
}

static void print_methods(const struct ctl *ctl, json_t *methods)
{
	const char *name;
	json_t *method;

	(void)printf("\n%s%-32s %10s %8s %10s %10s %10s %10s%s\n", output_bold(ctl),
		"method (times in µs)", "calls", "errors", "p50", "p90", "p99", "max",
		output_plain(ctl));
	json_object_foreach (methods, name, method)
		(void)printf("%-31s %10.0f %8.0f %10.0f %10.0f %10.0f %10.0f\n", name,
			tree_number(method, "calls"), tree_number(method, "errors"),
			tree_number(method, "p50"), tree_number(method, "p90"),
			tree_number(method, "p99"), tree_number(method, "max"));
}

/* A number that may be unknown. */
static const char *known(char text[32], const json_t *server, const char *name)
{
	if (!json_is_number(json_object_get(server, name)))
		return "-";
	(void)snprintf(text, 32, "%.0f", tree_number(server, name));
	return text;
}

/* Only while the daemon reads from standbys. */
static void print_servers(const struct ctl *ctl, const json_t *servers)
{
	const json_t *server;
	char age[32], lag[32];
	size_t i;

	if (servers == NULL)
		return;
	(void)printf("\n%s%-32s %-11s %11s %10s %10s %12s%s\n", output_bold(ctl), "server", "role",
		"connections", "reads", "age in ms", "lag in bytes", output_plain(ctl));
	json_array_foreach (servers, i, server) {
		const char *error = tree_text(server, "error");

		(void)printf("%-32s %-11s %11.0f %10.0f %10s %12s%s%s\n", tree_text(server, "host"),
			tree_text(server, "role"), tree_number(server, "connections"),
			tree_number(server, "reads"), known(age, server, "age_ms"),
			known(lag, server, "lag_bytes"), *error != '\0' ? "  " : "", error);
	}
}

static int stats_stats(struct ctl *ctl, int argc, char **argv)
{
	char *result;
	json_t *tree;
	int status;

	if (argc != 1)
		return options_none(argc, argv);
	if (ctl->json) {
		status = connect_call(ctl, "daemon.stats", NULL, &result);
		if (status == 0) {
			(void)puts(result);
			pierre_text_free(result);
		}
		return status;
	}
	status = tree_call(ctl, "daemon.stats", &tree);
	if (status != 0)
		return status;
	(void)printf("%sup%s %.0f s\n", output_bold(ctl), output_plain(ctl),
		tree_number(tree, "uptime_seconds"));
	print_numbers(ctl, "counters", json_object_get(tree, "counters"));
	print_numbers(ctl, "gauges", json_object_get(tree, "gauges"));
	print_servers(ctl, json_object_get(tree, "servers"));
	print_methods(ctl, json_object_get(tree, "methods"));
	json_decref(tree);
	return 0;
}

const struct command stats_commands[] = {
	{"stats", "", "Show counters, gauges and the latency of each method",
		"Examples:\n"
		"  pierre-dbctl stats\n"
		"  pierre-dbctl stats --json | jq .methods.get_user.p99\n\n"
		"Counters and latencies cover the time since the daemon started.",
		stats_stats},
	{0},
};
