/* pierre-dbctl ping, ready, health, version, socket */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../columns.h"
#include "../output.h"
#include "../connect.h"
#include "../options.h"
#include "../ctl.h"
#include "../catalog/tree.h"
#include "value.h"

static int status_ping(struct ctl *ctl, int argc, char **argv)
{
	double began, took;
	char *result;
	int status = options_none(argc, argv);

	if (status != 0)
		return status;
	began = clock_seconds();
	status = connect_call(ctl, "daemon.ping", NULL, &result);
	took = clock_seconds() - began;
	if (status != 0)
		return status;
	if (ctl->json)
		tree_print_new(ctl, json_pack("{ss sf}", "result", "pong", "seconds", took));
	else
		(void)printf("pong  %s%.3f ms including the connection%s\n", output_dim(ctl),
			took * 1e3, output_plain(ctl));
	pierre_text_free(result);
	return 0;
}

static int ready(struct ctl *ctl, int argc, char **argv)
{
	json_t *health;
	const char *state;
	bool good;

	if (argc != 1)
		return options_none(argc, argv);
	if (tree_call(ctl, "daemon.health", &health) != 0)
		return 1;
	state = tree_text(health, "status");
	good = json_is_true(json_object_get(health, "ready"));
	if (ctl->json)
		tree_print_new(ctl, json_pack("{sb ss}", "ready", good, "status", state));
	else
		(void)printf("%s%s%s\n", output_status_colour(ctl, state),
			good ? "ready" : "not ready", output_plain(ctl));
	json_decref(health);
	return good ? 0 : 1;
}

enum { CHECK_DETAIL = 38 }; /* the column where the detail of a check begins */

static void print_check(const struct ctl *ctl, const json_t *check)
{
	const char *state = tree_text(check, "status"), *detail = tree_text(check, "detail");

	(void)printf("  %-12s %s%-9s%s %8.2f ms%s", tree_text(check, "name"),
		output_status_colour(ctl, state), state, output_plain(ctl),
		tree_number(check, "latency_ms"), *detail != '\0' ? "  " : "");
	columns_wrap(ctl, detail, CHECK_DETAIL, CHECK_DETAIL);
	(void)putchar('\n');
}

static int status_health(struct ctl *ctl, int argc, char **argv)
{
	const char *state;
	const json_t *check;
	json_t *report;
	size_t i;
	int status = options_none(argc, argv);

	if (status == 0)
		status = tree_call(ctl, "daemon.health", &report);
	if (status != 0)
		return status;
	state = tree_text(report, "status");
	status = strcmp(state, "down") == 0 ? 1 : 0;
	if (ctl->json) {
		tree_print(ctl, report);
	} else {
		(void)printf("%s%s%s  %s, %s, %s\n", output_status_colour(ctl, state), state,
			output_plain(ctl), tree_text(report, "backend"),
			json_is_true(json_object_get(report, "live")) ? "live" : "not live",
			json_is_true(json_object_get(report, "ready")) ? "ready" : "not ready");
		json_array_foreach (json_object_get(report, "checks"), i, check)
			print_check(ctl, check);
	}
	json_decref(report);
	return status;
}

static int status_version(struct ctl *ctl, int argc, char **argv)
{
	json_t *versions, *value;
	const char *name;
	int status = options_none(argc, argv);

	if (status == 0)
		status = tree_call(ctl, "daemon.version", &versions);
	if (status != 0)
		return status;
	if (ctl->json) {
		(void)json_object_set_new(versions, "client", json_pack("s", pierre_version()));
		tree_print(ctl, versions);
	} else {
		(void)printf("%-15s %s\n", "pierre-dbctl", pierre_version());
		json_object_foreach (versions, name, value) {
			char *text = json_dumps(value, JSON_ENCODE_ANY);

			(void)printf("%-15s %s\n",
				strcmp(name, "version") == 0 ? "pierre-dbd" : name,
				json_is_string(value)  ? json_string_value(value)
					: text != NULL ? text
						       : "");
			free(text);
		}
	}
	json_decref(versions);
	return 0;
}

static int print_socket(struct ctl *ctl, int argc, char **argv)
{
	struct pierre_error error;
	char path[256];
	int status = options_none(argc, argv);

	if (status != 0)
		return status;
	if (ctl->socket == NULL && pierre_default_socket(path, sizeof path, &error) != 0)
		return output_fail(EX_CONFIG, "%s", error.message);
	if (ctl->json)
		tree_print_new(
			ctl, json_pack("{ss}", "socket", ctl->socket != NULL ? ctl->socket : path));
	else
		(void)puts(ctl->socket != NULL ? ctl->socket : path);
	return 0;
}

const struct command status_commands[] = {
	{"ping", "", "Check whether the daemon answers",
		"Example:\n"
		"  pierre-dbctl ping\n\n"
		"The database is not queried; use `health` for that.",
		status_ping},
	{"ready", "", "Check whether calls can be answered now",
		"Examples:\n"
		"  until pierre-dbctl ready; do sleep 1; done\n"
		"  HEALTHCHECK CMD [\"pierre-dbctl\", \"ready\"]\n\n"
		"Queries the database. A daemon that is paused or shutting down is not ready.\n"
		"Exit code: 0 when ready, 1 when not or when the daemon does not answer, 64 for\n"
		"wrong usage.",
		ready},
	{"health", "", "Show the health of the daemon and its database",
		"Examples:\n"
		"  pierre-dbctl health\n"
		"  pierre-dbctl health --json | jq -r .status\n\n"
		"Queries the database. Exit code 1 when the status is `down`.",
		status_health},
	{"version", "", "Show the versions of the daemon, its schema and its database",
		"Example:\n"
		"  pierre-dbctl version",
		status_version},
	{"socket", "", "Print the path of the daemon's socket",
		"Example:\n"
		"  echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"get_user_count\"}' |\n"
		"    socat -t30 - UNIX-CONNECT:$(pierre-dbctl socket)",
		print_socket},
	{0},
};
