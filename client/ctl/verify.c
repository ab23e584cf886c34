/* pierre-dbctl verify: lets pierre-dbd, which knows databases and keys, look at a file or a database. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

/* A URL goes by the environment, since arguments show in the list of processes; a file's name becomes a URL. */
static int name_database(const char *text)
{
	char folder[PATH_MAX], url[PATH_MAX * 2 + 16];

	if (strstr(text, "://") != NULL || strncmp(text, "sqlite:", 7) == 0)
		return setenv("DATABASE_URL", text, 1) == 0 ? 0 : ctl_fail(EX_OSERR, "memory is out");
	if (access(text, F_OK) != 0)
		return ctl_fail(EX_NOINPUT, "%s: %s", text, strerror(errno));
	if (*text == '/')
		*folder = '\0';
	else if (getcwd(folder, sizeof folder) == NULL)
		return ctl_fail(EX_OSERR, "the working folder: %s", strerror(errno));
	if (snprintf(url, sizeof url, "sqlite:%s%s%s", folder, *folder != '\0' ? "/" : "", text) >= (int)sizeof url)
		return ctl_fail(EX_NOINPUT, "%.100s…: the name is too long", text);
	return setenv("DATABASE_URL", url, 1) == 0 ? 0 : ctl_fail(EX_OSERR, "memory is out");
}

static int verify(struct ctl *ctl, int argc, char **argv)
{
	static char plain[] = "--verify", json[] = "--verify=json", name[] = "pierre-dbd";
	char program[PATH_MAX + 16];
	char **arguments = calloc((size_t)argc + 3, sizeof *arguments);
	int count = 0, status = 0;
	bool named = false;

	if (arguments == NULL)
		return ctl_fail(EX_OSERR, "memory is out");
	arguments[count++] = name;
	arguments[count++] = ctl->json ? json : plain;
	for (int i = 1; i < argc && status == 0; i++) {
		if (argv[i][0] == '-') {
			arguments[count++] = argv[i];
			if (strchr(argv[i], '=') == NULL && i + 1 < argc)
				arguments[count++] = argv[++i];
		} else if (named) {
			status = ctl_fail(EX_USAGE, "verify takes one file or URL");
		} else {
			named = true;
			status = name_database(argv[i]);
		}
	}
	if (status == 0) {
		ctl_daemon_program(program, sizeof program);
		(void)execvp(program, arguments);
		status = ctl_fail(EX_OSFILE, "%s cannot be run: %s", program, strerror(errno));
	}
	free(arguments);
	return status;
}

const struct command verify_commands[] = {
	{"verify", "[FILE|URL] [--encryption-key-file FILE] [--env-file FILE]", "looks whether a backup or a database is sound and every token opens",
	 "Examples:\n"
	 "  pierre-dbctl verify --encryption-key-file /etc/pierre-dbd/encryption.key /var/lib/pierre-dbd/backup/2026-01-31.db\n"
	 "  DATABASE_URL=postgresql://pierre@db.example.com/pierre pierre-dbctl verify --json | jq .tables\n\n"
	 "Reads only, without a daemon: SQLite's own check of the file, references between rows, the schema's version, rows of each table; and opens\n"
	 "every token. Keys are found as the daemon finds them, the previous one included ($ENCRYPTION_KEY, options, .env). Without FILE it looks at\n"
	 "$DATABASE_URL, where a URL with a password belongs. Exit codes: 0 all is sound, 65 it is not, 77 the key does not fit, 66 no such\n"
	 "file, 69 unreachable, 78 no key.",
	 verify},
	{0},
};
