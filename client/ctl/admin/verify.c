/* pierre-dbctl verify, restore: let pierre-dbd, which knows databases and keys, look at a database,
 * or put a file in its place. */
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

/* A URL goes by the environment, since arguments show in the list of processes; a file's name
 * becomes a URL. */
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
		return output_fail(EX_OSERR, "the working folder: %s", strerror(errno));
	if (snprintf(path, sizeof path, "%s%s%s", folder, *folder != '\0' ? "/" : "", text) >=
			(int)sizeof path ||
		!sqlite_url_of_file(path, url, sizeof url))
		return output_fail(EX_NOINPUT, "%.100s…: the name is too long", text);
	return setenv("DATABASE_URL", url, 1) == 0 ? 0 : output_fail(EX_OSERR, "out of memory");
}

/* The options of the command line, and the first word among them: *word. Gives how many words there
 * are. */
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

/* pierre-dbd in the place of this program. */
static int run_daemon_program(char **arguments)
{
	char program[PATH_MAX + 16];

	connect_daemon_program(program, sizeof program);
	(void)execvp(program, arguments);
	return output_fail(EX_OSFILE, "%s cannot be run: %s", program, strerror(errno));
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
		status = output_fail(EX_USAGE, "verify takes one file or URL");
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
		status = output_fail(EX_USAGE, "restore takes one file");
	free(arguments);
	return status;
}

const struct command verify_commands[] = {
	{"verify", "[FILE|URL] [--encryption-key-file FILE] [--env-file FILE]",
		"checks whether a backup or a database is sound and every token opens",
		"Examples:\n"
		"  pierre-dbctl verify --encryption-key-file /etc/pierre-dbd/encryption.key /var/lib/pierre-dbd/backup/2026-01-31.db\n"
		"  DATABASE_URL=postgresql://pierre@db.example.com/pierre pierre-dbctl verify --json | jq .tables\n\n"
		"Reads only, without a daemon: SQLite's own check of the file, references between rows, the schema's version, rows of each table; and opens\n"
		"every token. Keys are found as the daemon finds them, the previous one included ($ENCRYPTION_KEY, options, .env). Without FILE it looks at\n"
		"$DATABASE_URL, where a URL with a password belongs. Exit codes: 0 all is sound, 65 it is not, 77 the key does not fit, 66 no such\n"
		"file, 69 unreachable, 78 no key.",
		verify},
	{"restore", "FILE [--database-url URL] [--encryption-key-file FILE] [--env-file FILE]",
		"puts a backup in the place of the database",
		"Examples:\n"
		"  systemctl stop pierre-dbd.socket pierre-dbd.service\n"
		"  pierre-dbctl restore --database-url sqlite:/var/lib/pierre-dbd/pierre.db --encryption-key-file /etc/pierre-dbd/encryption.key 2026-01-31.db\n\n"
		"SQLite, while no daemon runs (else 75). FILE is copied and checked first: SQLite's own check, whether it is an installation's, the schema's\n"
		"version, the key. Then the old database, with its log, gets the name DATABASE.before-TIME, and the copy takes its place with the same owner\n"
		"and mode. Killed at any moment, it leaves the old database or the new one, whole: the daemon's next start, or restore, finishes it. URL\n"
		"and key are found as the daemon finds them ($DATABASE_URL, $ENCRYPTION_KEY, options, .env). Exit codes: 0 done, 65 FILE is not sound or\n"
		"not an installation's, 66 no such file, 75 a program uses the database, 77 the key does not fit.",
		restore},
	{0},
};
