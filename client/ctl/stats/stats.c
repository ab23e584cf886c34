/* pierre-dbctl stats: daemon.stats as a table. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../grid.h"
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

static const struct grid_column method_columns[] = {
	{.title = "method (times in µs)", .width = 31},
	{.title = "calls", .width = 10, .gap = 1, .right = true},
	{.title = "errors", .width = 8, .gap = 1, .right = true},
	{.title = "p50", .width = 10, .gap = 1, .right = true},
	{.title = "p90", .width = 10, .gap = 1, .right = true, .spare = 1},
	{.title = "p99", .width = 10, .gap = 1, .right = true},
	{.title = "max", .width = 10, .gap = 1, .right = true, .spare = 2},
};

/* A number that may be unknown. */
static const char *known(char text[32], const json_t *tree, const char *name)
{
	if (!json_is_number(json_object_get(tree, name)))
		return "-";
	(void)snprintf(text, 32, "%.0f", tree_number(tree, name));
	return text;
}

static void print_methods(const struct ctl *ctl, json_t *methods)
{
	struct grid grid = {.columns = method_columns,
		.count = sizeof method_columns / sizeof method_columns[0]};
	char calls[32], errors[32], p50[32], p90[32], p99[32], max[32];
	const char *name;
	json_t *method;

	(void)putchar('\n');
	json_object_foreach (methods, name, method)
		grid_add(&grid,
			(const char *const[]){name, known(calls, method, "calls"),
				known(errors, method, "errors"), known(p50, method, "p50"),
				known(p90, method, "p90"), known(p99, method, "p99"),
				known(max, method, "max")},
			false);
	grid_print(ctl, &grid);
}

static const struct grid_column server_columns[] = {
	{.title = "server", .width = 32, .wraps = true}, {.title = "role", .width = 11, .gap = 1},
	{.title = "connections", .width = 11, .gap = 1, .right = true, .spare = 1},
	{.title = "reads", .width = 10, .gap = 1, .right = true},
	{.title = "age in ms", .width = 10, .gap = 1, .right = true},
	{.title = "lag in bytes", .width = 12, .gap = 1, .right = true},
	{.title = "", .gap = 2, .wraps = true}, /* why it is not used */
};

/* Only while the daemon reads from standbys. */
static void print_servers(const struct ctl *ctl, const json_t *servers)
{
	struct grid grid = {.columns = server_columns,
		.count = sizeof server_columns / sizeof server_columns[0]};
	char connections[32], reads[32], age[32], lag[32];
	const json_t *server;
	size_t i;

	if (servers == NULL)
		return;
	(void)putchar('\n');
	json_array_foreach (servers, i, server)
		grid_add(&grid,
			(const char *const[]){tree_text(server, "host"), tree_text(server, "role"),
				known(connections, server, "connections"),
				known(reads, server, "reads"), known(age, server, "age_ms"),
				known(lag, server, "lag_bytes"), tree_text(server, "error")},
			false);
	grid_print(ctl, &grid);
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
