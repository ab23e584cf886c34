/* pierre-dbctl backup: lets the daemon copy a SQLite database, or prints the commands for
 * PostgreSQL. */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../output.h"
#include "../options.h"
#include "../progress.h"
#include "../catalog/tree.h"

enum { POLL_MS = 50 };

struct wish {
	const char *file;
	bool force;
};

static int ctl_backup_read_arguments(int argc, char **argv, struct wish *wish)
{
	const struct option_row rows[] = {{.name = "force", .flag = &wish->force}, {0}};
	int words = options_read(rows, argc, argv);

	if (words < 0)
		return EX_USAGE;
	if (words != 1 || *argv[1] == '\0')
		return output_fail(EX_USAGE, "backup requires the name of one file");
	wish->file = argv[1];
	return 0;
}

/* Makes the path absolute, since the daemon runs in another folder. The caller frees it. */
static char *whole_name(const char *file)
{
	char folder[PATH_MAX], *name;

	if (*file == '/')
		return strdup(file);
	if (getcwd(folder, sizeof folder) == NULL ||
		asprintf(&name, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, file) < 0)
		return NULL;
	return name;
}

static int ctl_backup_ask(struct ctl *ctl, const char *method, json_t *params, json_t **tree)
{
	char *text = params != NULL ? json_dumps(params, JSON_COMPACT) : NULL;
	int status = tree_call_with(ctl, method, text, tree);

	free(text);
	json_decref(params);
	return status;
}

/* Waits until the backup ends. The daemon makes it even when this program stops. */
static int wait_for_end(struct ctl *ctl, json_t **tree)
{
	double number = tree_number(*tree, "number");
	struct progress progress;
	int status = 0;

	progress_begin(&progress, ctl, "pages");
	while (status == 0) {
		const char *state = tree_text(*tree, "state");

		if (tree_number(*tree, "number") != number) {
			status = output_fail(EX_TEMPFAIL,
				"the daemon was restarted, or another backup began: the outcome "
				"is unknown");
			break;
		}
		if (strcmp(state, "done") == 0 || strcmp(state, "failed") == 0)
			break;
		progress_show(&progress, strcmp(state, "checking") == 0 ? "checking" : "copying",
			tree_number(*tree, "pages_done"), tree_number(*tree, "pages"));
		(void)nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
		json_decref(*tree);
		*tree = NULL;
		status = tree_call(ctl, "daemon.backup_state", tree);
	}
	progress_end(&progress);
	return status;
}

static int ctl_backup_tell(const struct ctl *ctl, const json_t *tree)
{
	const json_t *tables = json_object_get(tree, "tables"), *rows;
	bool failed = strcmp(tree_text(tree, "state"), "failed") == 0;
	const char *name;
	double sum = 0;

	if (ctl->json)
		tree_print(ctl, tree);
	if (failed)
		return output_fail(
			EXIT_DAEMON_ERROR, "the backup failed: %s", tree_text(tree, "error"));
	if (ctl->json)
		return 0;
	json_object_foreach ((json_t *)(uintptr_t)tables, name, rows)
		sum += json_number_value(rows);
	(void)printf("%s: %.1f MiB, %zu tables, %.0f rows, checked; %.1f s\n",
		tree_text(tree, "path"), tree_number(tree, "bytes") / (1 << 20),
		json_object_size(tables), sum, tree_number(tree, "seconds"));
	return 0;
}

static int backup_sqlite(struct ctl *ctl, const struct wish *wish)
{
	char *name = whole_name(wish->file);
	json_t *tree = NULL;
	int status;

	if (name == NULL)
		return output_fail(EX_OSERR, "%s: %s", wish->file, strerror(errno));
	status = ctl_backup_ask(ctl, "daemon.backup",
		json_pack("{sssb}", "path", name, "force", wish->force), &tree);
	if (status != 0 && !wish->force && access(name, F_OK) == 0)
		output_hint("--force replaces an existing file\n");
	if (status == 0 && !json_is_true(json_object_get(tree, "began")))
		status = output_fail(
			EX_TEMPFAIL, "another backup is in progress: %s", tree_text(tree, "path"));
	free(name);
	if (status == 0)
		status = wait_for_end(ctl, &tree);
	if (status == 0)
		status = ctl_backup_tell(ctl, tree);
	json_decref(tree);
	return status;
}

/* The major version of pg_dump in $PATH; 0 when there is none. */
static unsigned dump_version(void)
{
	FILE *out = popen("pg_dump --version 2>/dev/null", "re");
	unsigned version = 0;
	char line[128];

	if (out == NULL)
		return 0;
	if (fgets(line, sizeof line, out) != NULL) {
		const char *digit = line + strcspn(line, "0123456789");

		version = (unsigned)strtoul(digit, NULL, 10);
	}
	(void)pclose(out);
	return version;
}

/* Quotes a text for a shell. */
static void print_quoted(FILE *out, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] == '\'')
			(void)fputs("'\\''", out);
		else
			(void)fputc(text[i], out);
}

/* Removes the masked password from a URL: pg_dump reads the password from ~/.pgpass or prompts for
 * it. */
static void print_url(FILE *out, const char *url)
{
	const char *stars = strstr(url, ":***@");
	size_t before = stars != NULL ? (size_t)(stars - url) : 0,
	       skipped = stars != NULL ? before + strlen(":***") : 0;

	print_quoted(out, url, before);
	print_quoted(out, url + skipped, strlen(url + skipped));
}

static const char *database_url(const json_t *config)
{
	const json_t *setting;
	size_t i;

	json_array_foreach (json_object_get(config, "settings"), i, setting)
		if (strcmp(tree_text(setting, "name"), "database_url") == 0)
			return tree_text(setting, "value");
	return "";
}

/* A command that makes a dump, and one that checks it. */
static void print_commands(FILE *out, const char *file, const char *url)
{
	(void)fputs("pg_dump --format=custom --no-owner --serializable-deferrable --file='", out);
	print_quoted(out, file, strlen(file));
	(void)fputs("' --dbname='", out);
	print_url(out, url);
	(void)fputs("'\npg_restore --list '", out);
	print_quoted(out, file, strlen(file));
	(void)fputs("' >/dev/null\n", out);
}

static void print_commands_json(const struct ctl *ctl, const char *file, const char *url,
	const char *server, unsigned found)
{
	char *text = NULL, *second;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return;
	print_commands(out, file, url);
	(void)fclose(out);
	text[size - 1] = '\0';
	second = strstr(text, "'\npg_restore ");
	if (second != NULL) {
		second[1] = '\0';
		tree_print_new(ctl,
			json_pack("{sb ss sI s[ss]}", "made", 0, "server", server, "pg_dump",
				(json_int_t)found, "commands", text, second + 2));
	}
	free(text);
}

/* PostgreSQL has pg_dump, which runs where the dump is stored. Its version must not be older than
 * the server's. */
static int backup_postgres(struct ctl *ctl, const struct wish *wish, const char *server)
{
	unsigned wanted = (unsigned)strtoul(server, NULL, 10), found = dump_version();
	json_t *config;
	int status = tree_call(ctl, "daemon.config", &config);

	if (status != 0)
		return status;
	if (ctl->json)
		print_commands_json(ctl, wish->file, database_url(config), server, found);
	else
		print_commands(stdout, wish->file, database_url(config));
	json_decref(config);
	(void)fflush(stdout);
	if (found == 0)
		(void)output_fail(0, "pg_dump is missing: install postgresql-client-%u", wanted);
	else if (found < wanted)
		(void)output_fail(0,
			"pg_dump has version %u, older than the server's %u, and would refuse it: "
			"install postgresql-client-%u",
			found, wanted, wanted);
	return output_fail(EX_UNAVAILABLE,
		"no backup was made: copy PostgreSQL %s with the commands above, connected to "
		"the server "
		"and not through a pooler, since pg_dump changes session settings; "
		"the password is read from ~/.pgpass or $PGPASSWORD",
		server);
}

static int ctl_backup_backup(struct ctl *ctl, int argc, char **argv)
{
	struct wish wish = {0};
	int status = ctl_backup_read_arguments(argc, argv, &wish);
	json_t *version;

	if (status == 0)
		status = tree_call(ctl, "daemon.version", &version);
	if (status != 0)
		return status;
	if (strcmp(tree_text(version, "backend"), "sqlite") == 0)
		status = backup_sqlite(ctl, &wish);
	else
		status = backup_postgres(ctl, &wish, tree_text(version, "postgresql"));
	json_decref(version);
	return status;
}

const struct command backup_commands[] = {
	{"backup", "FILE [--force]", "Copy the database to a file while the daemon runs",
		"Examples:\n"
		"  pierre-dbctl backup /var/lib/pierre-dbd/backup/$(date +%F).db\n"
		"  pierre-dbctl backup --force --json /srv/backup/pierre.db | jq .tables\n\n"
		"SQLite: the daemon copies a consistent snapshot of the database and checks the\n"
		"copy. FILE appears, with mode 600, when it is complete and durable. A backup\n"
		"that is killed leaves at most FILE.partial, which the next backup replaces.\n"
		"When this program is stopped, the daemon finishes the copy.\n\n"
		"The daemon's user needs write access to the folder. Under systemd only\n"
		"/var/lib/pierre-dbd is writable, unless a drop-in adds ReadWritePaths=.\n"
		"A backup is useless without the encryption key: keep both, in different "
		"places.\n\n"
		"PostgreSQL: prints the commands to run, and exits with 69 because it made no\n"
		"copy. Requires the role admin.",
		ctl_backup_backup},
	{0},
};
