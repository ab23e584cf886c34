/* pierre-dbctl clients, config, reload, pause, resume: administration of the daemon. */
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../grid.h"
#include "../output.h"
#include "../options.h"
#include "../catalog/tree.h"

enum { POLL_MS = 50, PAUSE_PATIENCE_S = 30 };

static const char *whole_number(double number, char out[32])
{
	(void)snprintf(out, 32, "%.0f", number);
	return out;
}

/* "7s", "12m", "5h", "3d" */
static const char *short_time(double seconds, char out[16])
{
	static const struct {
		double seconds;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;

	while (i < 3 && seconds < 2 * units[i].seconds)
		i++;
	(void)snprintf(out, 16, "%.0f%c", seconds / units[i].seconds, units[i].unit);
	return out;
}

/* "812", "64K", "3.1M" */
static const char *short_size(double bytes, char out[16])
{
	static const char units[] = " KMGT";
	size_t i = 0;

	for (; bytes >= 1024 && units[i + 1] != '\0'; i++)
		bytes /= 1024;
	if (i == 0)
		(void)snprintf(out, 16, "%.0f", bytes);
	else
		(void)snprintf(out, 16, "%.*f%c", bytes < 10, bytes, units[i]);
	return out;
}

static const char *user_name(double uid, char out[32])
{
	const struct passwd *entry = getpwuid((uid_t)uid);

	if (entry != NULL)
		(void)snprintf(out, 32, "%.31s", entry->pw_name);
	else
		(void)snprintf(out, 32, "%.0f", uid);
	return out;
}

/* The name of the process; "" when it has ended or is in another namespace. */
static const char *program_name(double pid, char out[20])
{
	char path[40];
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%.0f/comm", pid);
	file = fopen(path, "re");
	if (file == NULL || fgets(out, 20, file) == NULL)
		*out = '\0';
	if (file != NULL)
		(void)fclose(file);
	out[strcspn(out, "\n")] = '\0';
	for (char *at = out; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			*at = '?'; /* a process can choose any name */
	return out;
}

/* In the order of the cells of print_client(). */
static const struct grid_column client_columns[] = {
	{.title = "", .width = 1},
	{.title = "id", .width = 7, .right = true},
	{.title = "user", .width = 12, .gap = 2},
	{.title = "pid", .width = 7, .gap = 1, .right = true, .spare = 1},
	{.title = "program", .width = 15, .gap = 2},
	{.title = "role", .width = 5, .gap = 2},
	{.title = "connected", .width = 9, .gap = 2, .right = true, .spare = 5},
	{.title = "idle", .width = 6, .gap = 1, .right = true},
	{.title = "lines", .width = 9, .gap = 1, .right = true, .spare = 4},
	{.title = "in flight", .width = 9, .gap = 1, .right = true},
	{.title = "in", .width = 7, .gap = 1, .right = true, .spare = 3},
	{.title = "out", .width = 7, .gap = 1, .right = true, .spare = 2},
	{.title = "unsent", .width = 7, .gap = 1, .right = true},
	{.title = "", .gap = 2},
};

static void print_client(struct grid *grid, const json_t *client)
{
	char id[32], user[32], pid[32], program[20], connected[16], idle[16], lines[32], flight[32],
		in[16], out[16], unsent[16];

	grid_add(grid,
		(const char *const[]){
			json_is_true(json_object_get(client, "self")) ? "*" : "",
			whole_number(tree_number(client, "id"), id),
			user_name(tree_number(client, "uid"), user),
			whole_number(tree_number(client, "pid"), pid),
			program_name(tree_number(client, "pid"), program),
			tree_text(client, "role"),
			short_time(tree_number(client, "connected_seconds"), connected),
			short_time(tree_number(client, "idle_seconds"), idle),
			whole_number(tree_number(client, "lines"), lines),
			whole_number(tree_number(client, "in_flight"), flight),
			short_size(tree_number(client, "bytes_in"), in),
			short_size(tree_number(client, "bytes_out"), out),
			short_size(tree_number(client, "unsent_bytes"), unsent),
			json_is_true(json_object_get(client, "reading")) ? "" : "at a limit",
		},
		false);
}

/* Calls a method of the daemon. With --json prints the result unchanged, else through `print`. */
static int admin_show(struct ctl *ctl, int argc, char **argv, const char *method,
	void (*print)(const struct ctl *ctl, const json_t *tree))
{
	int status = options_none(argc, argv);
	json_t *tree;

	if (status == 0)
		status = tree_call(ctl, method, &tree);
	if (status != 0)
		return status;
	if (ctl->json)
		tree_print(ctl, tree);
	else
		print(ctl, tree);
	json_decref(tree);
	return 0;
}

static void print_clients(const struct ctl *ctl, const json_t *tree)
{
	struct grid grid = {.columns = client_columns,
		.count = sizeof client_columns / sizeof client_columns[0]};
	const json_t *list = json_object_get(tree, "clients"), *client;
	size_t i;

	json_array_foreach (list, i, client)
		print_client(&grid, client);
	grid_print(ctl, &grid);
}

static int clients(struct ctl *ctl, int argc, char **argv)
{
	return admin_show(ctl, argc, argv, "daemon.clients", print_clients);
}

/* The mark of a setting that reloads is part of its name. */
static const struct grid_column config_columns[] = {
	{.title = "setting", .width = 29},
	{.title = "value", .width = 34, .gap = 1, .wraps = true},
	{.title = "default", .width = 22, .gap = 1, .spare = 1},
	{.title = "source", .gap = 1},
};

static void admin_print_config(const struct ctl *ctl, const json_t *tree)
{
	struct grid grid = {.columns = config_columns,
		.count = sizeof config_columns / sizeof config_columns[0]};
	const json_t *list = json_object_get(tree, "settings"), *setting;
	const char *file = tree_text(tree, "file");
	size_t i;

	json_array_foreach (list, i, setting) {
		const char *source = tree_text(setting, "source");
		char name[64];

		(void)snprintf(name, sizeof name, "%c%s",
			json_is_true(json_object_get(setting, "reloads")) ? '*' : ' ',
			tree_text(setting, "name"));
		grid_add(&grid,
			(const char *const[]){name, tree_text(setting, "value"),
				tree_text(setting, "default_value"), source},
			strcmp(source, "default") != 0);
	}
	grid_print(ctl, &grid);
	(void)printf("\n* takes effect on `pierre-dbctl reload`, the others on a restart.\n"
		     "Configuration file: %s\n",
		*file != '\0' ? file : "none");
}

static int config(struct ctl *ctl, int argc, char **argv)
{
	return admin_show(ctl, argc, argv, "daemon.config", admin_print_config);
}

static void print_names(const char *what, const json_t *names)
{
	const json_t *name;
	size_t i;

	if (json_array_size(names) == 0)
		return;
	(void)printf("%s:", what);
	json_array_foreach (names, i, name)
		(void)printf(" %s", json_string_value(name));
	(void)putchar('\n');
}

static int reload(struct ctl *ctl, int argc, char **argv)
{
	int status = options_none(argc, argv);
	json_t *tree;
	bool good;

	if (status == 0)
		status = tree_call(ctl, "daemon.reload", &tree);
	if (status != 0)
		return status;
	good = json_is_true(json_object_get(tree, "reloaded"));
	if (ctl->json) {
		tree_print(ctl, tree);
	} else if (!good) {
		(void)output_fail(
			1, "the old settings stay in force: %s", tree_text(tree, "error"));
	} else {
		if (json_array_size(json_object_get(tree, "changed")) == 0)
			(void)puts("nothing has changed");
		print_names("changed", json_object_get(tree, "changed"));
		print_names("need a restart", json_object_get(tree, "need_restart"));
	}
	json_decref(tree);
	return good ? 0 : 1;
}

static void print_pause(const struct ctl *ctl, const json_t *tree)
{
	if (ctl->json)
		tree_print(ctl, tree);
	else if (json_is_true(json_object_get(tree, "paused")))
		(void)printf("paused: %.0f calls deferred, %.0f in progress\n",
			tree_number(tree, "waiting"), tree_number(tree, "under_way"));
	else
		(void)printf(
			"resumed: %.0f deferred calls continue\n", tree_number(tree, "waiting"));
}

/* The number of calls from before the pause that are in progress; -1: unknown, or the daemon was
 * resumed. *paused: whether it is still paused. */
static double under_way(struct ctl *ctl, bool *paused, int *status)
{
	const json_t *gauges;
	json_t *stats;
	double left;

	*status = tree_call(ctl, "daemon.stats", &stats);
	if (*status != 0)
		return -1;
	gauges = json_object_get(stats, "gauges");
	*paused = tree_number(gauges, "paused") > 0;
	left = tree_number(gauges, "in_flight") - tree_number(gauges, "paused_calls");
	json_decref(stats);
	return left;
}

static int pause_calls(struct ctl *ctl, int argc, char **argv)
{
	double patience = ctl->timeout_seconds > 0 ? ctl->timeout_seconds : PAUSE_PATIENCE_S, left;
	int status = options_none(argc, argv);
	bool paused = true;
	json_t *tree;

	if (status == 0)
		status = tree_call(ctl, "daemon.pause", &tree);
	if (status != 0)
		return status;
	left = tree_number(tree, "under_way");
	while (left > 0 && paused && patience > 0) {
		(void)nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
		patience -= POLL_MS / 1e3;
		left = under_way(ctl, &paused, &status);
		if (status != 0)
			break;
		(void)json_object_set_new(tree, "under_way", json_pack("I", (json_int_t)left));
	}
	if (status == 0)
		print_pause(ctl, tree);
	json_decref(tree);
	if (status == 0 && !paused)
		status = output_fail(1, "the daemon was resumed by another client");
	else if (status == 0 && left > 0)
		status = output_fail(EX_TEMPFAIL,
			"%.0f earlier calls are still in progress; new calls are deferred", left);
	return status;
}

static int resume(struct ctl *ctl, int argc, char **argv)
{
	int status = options_none(argc, argv);
	json_t *tree;

	if (status == 0)
		status = tree_call(ctl, "daemon.resume", &tree);
	if (status != 0)
		return status;
	print_pause(ctl, tree);
	json_decref(tree);
	return 0;
}

const struct command admin_commands[] = {
	{"clients", "", "List the connected clients",
		"Examples:\n"
		"  pierre-dbctl clients\n"
		"  pierre-dbctl clients --json |\n"
		"    jq '[.clients[] | select(.idle_seconds > 3600)]'\n\n"
		"* marks the connection of this program. \"in flight\" counts calls without an\n"
		"answer; \"unsent\" is the size of the answers that the client has not read.\n"
		"\"at a limit\" means that the daemon does not read more requests until the\n"
		"client reads its answers. Requires the role admin.",
		clients},
	{"config", "", "Show each setting with its value, default and source",
		"Examples:\n"
		"  pierre-dbctl config\n"
		"  pierre-dbctl config --json |\n"
		"    jq -r '.settings[] | select(.source != \"default\") | .name'\n\n"
		"Secrets are hidden. Requires the role admin.",
		config},
	{"reload", "", "Reload the daemon's configuration file",
		"Example:\n"
		"  pierre-dbctl reload\n\n"
		"Does the same as SIGHUP or `systemctl reload pierre-dbd`, and lists what has\n"
		"changed. When the file is invalid, all old settings stay in force and the exit\n"
		"code is 1. Requires the role admin.",
		reload},
	{"pause", "", "Defer new calls until `resume`",
		"Examples:\n"
		"  pierre-dbctl pause && cp -a /var/lib/pierre-dbd /backup/ ; pierre-dbctl resume\n"
		"  pierre-dbctl pause --timeout 120\n\n"
		"Waits until the calls in progress have finished: 30 s, or --timeout. After that\n"
		"the exit code is 75 and the daemon stays paused.\n\n"
		"Clients stay connected. A deferred call fails with `timeout` when its time limit\n"
		"(the setting call-timeout) expires; it has then changed nothing. health, stats,\n"
		"ping and the admin commands are still answered. A restart ends the pause.\n"
		"Requires the role admin.",
		pause_calls},
	{"resume", "", "Run the calls that were deferred by `pause`",
		"Example:\n"
		"  pierre-dbctl resume\n\n"
		"The calls run in the order in which they arrived. Requires the role admin.",
		resume},
	{0},
};
