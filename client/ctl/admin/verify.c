/* pierre-dbctl verify, restore: execute pierre-dbd, which links the database libraries and handles
 * the keys. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../output.h"
#include "../connect.h"
#include "../ctl.h"
#include "sqlite_url.h"

/* Passes the URL through the environment, since arguments are visible in the process list. A file
 * name becomes a URL. */
static int name_database(const char *text)
{
	char folder[PATH_MAX], path[PATH_MAX * 2], url[PATH_MAX * 6];

	if (strstr(text, "://") != NULL || sqlite_url_is_one(text))
		return setenv("DATABASE_URL", text, 1) == 0
			? 0
			: output_fail(EX_OSERR, "out of memory");
	if (access(text, F_OK) != 0)
		return output_fail(EX_NOINPUT, "%s: %s", text, strerror(errno));
	if (*text == '/')
		*folder = '\0';
	else if (getcwd(folder, sizeof folder) == NULL)
		return output_fail(
			EX_OSERR, "cannot get the working directory: %s", strerror(errno));
	if (snprintf(path, sizeof path, "%s%s%s", folder, *folder != '\0' ? "/" : "", text) >=
			(int)sizeof path ||
		!sqlite_url_of_file(path, url, sizeof url))
		return output_fail(EX_NOINPUT, "%.100s…: name too long", text);
	return setenv("DATABASE_URL", url, 1) == 0 ? 0 : output_fail(EX_OSERR, "out of memory");
}

/* Separates the options from the words. *word: the first word. Returns the number of words. */
static int split_arguments(int argc, char **argv, char **options, char **word)
{
	int count = 0, words = 0;

	*word = NULL;
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-') {
			options[count++] = argv[i];
			if (strchr(argv[i], '=') == NULL && i + 1 < argc)
				options[count++] = argv[++i];
		} else if (words++ == 0) {
			*word = argv[i];
		}
	}
	return words;
}

/* Replaces this process with pierre-dbd. */
static int run_daemon_program(char **arguments)
{
	char program[PATH_MAX + 16];

	connect_daemon_program(program, sizeof program);
	(void)execvp(program, arguments);
	return output_fail(EX_OSFILE, "cannot run %s: %s", program, strerror(errno));
}

static char daemon_name[] = "pierre-dbd";

static int verify(struct ctl *ctl, int argc, char **argv)
{
	static char plain[] = "--verify", json[] = "--verify=json";
	char **arguments = calloc((size_t)argc + 3, sizeof *arguments), *word;
	int status = 0, words;

	if (arguments == NULL)
		return output_fail(EX_OSERR, "out of memory");
	arguments[0] = daemon_name;
	arguments[1] = ctl->json ? json : plain;
	words = split_arguments(argc, argv, arguments + 2, &word);
	if (word != NULL)
		status = name_database(word);
	if (status == 0 && words > 1)
		status = output_fail(EX_USAGE, "verify accepts one file or URL");
	if (status == 0)
		status = run_daemon_program(arguments);
	free(arguments);
	return status;
}

static int restore(struct ctl *ctl, int argc, char **argv)
{
	static char plain[] = "--restore", json[] = "--restore=json";
	char **arguments = calloc((size_t)argc + 3, sizeof *arguments);
	int status;

	if (arguments == NULL)
		return output_fail(EX_OSERR, "out of memory");
	arguments[0] = daemon_name;
	arguments[1] = ctl->json ? json : plain;
	if (split_arguments(argc, argv, arguments + 3, &arguments[2]) == 1)
		status = run_daemon_program(arguments);
	else
		status = output_fail(EX_USAGE, "restore requires one file");
	free(arguments);
	return status;
}

const struct command verify_commands[] = {
	{"verify", "[FILE|URL] [--encryption-key-file FILE] [--env-file FILE]",
		"Check that a backup or database is intact and every token opens",
		"Examples:\n"
		"  pierre-dbctl verify 2026-01-31.db \\\n"
		"    --encryption-key-file /etc/pierre-dbd/encryption.key\n"
		"  DATABASE_URL=postgresql://pierre@db.example.com/pierre \\\n"
		"    pierre-dbctl verify --json | jq .tables\n\n"
		"Reads only, and needs no daemon. Checks the integrity of a SQLite file,\n"
		"references between rows, the schema version and the rows of each table, and\n"
		"opens every token. Keys are found as by the daemon, including the previous key:\n"
		"$ENCRYPTION_KEY, options, .env. Without FILE it reads $DATABASE_URL, which is\n"
		"the place for a URL with a password.\n\n"
		"Exit codes: 0 intact, 65 not intact, 66 no such file, 69 database unavailable,\n"
		"77 wrong key, 78 no key.",
		verify},
	{"restore", "FILE [--database-url URL] [--encryption-key-file FILE] [--env-file FILE]",
		"Replace the database with a backup",
		"Examples:\n"
		"  systemctl stop pierre-dbd.socket pierre-dbd.service\n"
		"  pierre-dbctl restore --database-url sqlite:/var/lib/pierre-dbd/pierre.db \\\n"
		"    --encryption-key-file /etc/pierre-dbd/encryption.key 2026-01-31.db\n\n"
		"SQLite only, while no daemon runs. FILE is copied, and the copy is checked:\n"
		"integrity, whether it is a pierre-dbd database, schema version, key. The old\n"
		"database and its log are then renamed to DATABASE.before-TIME, and the copy\n"
		"takes its place with the same owner and mode. If it is killed, the old or the\n"
		"new database remains complete; the next start of the daemon, or the next\n"
		"restore, finishes the work. URL and key are found as by the daemon:\n"
		"$DATABASE_URL, $ENCRYPTION_KEY, options, .env.\n\n"
		"Exit codes: 0 restored, 65 FILE is damaged or not a pierre-dbd database, 66 no\n"
		"such file, 75 the database is in use, 77 wrong key.",
		restore},
	{0},
};
