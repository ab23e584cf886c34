/* pierre-dbctl transfer: executes pierre-transfer, which links the database libraries. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../connect.h"
#include "../output.h"
#include "../ctl.h"

/* Looks relative to this program, in a build folder or an installation, which may have been moved;
 * then in the configured libexec folder. */
static const char *const places[] = {
	"/../libexec/pierre-dbd/pierre-transfer", "/../tools/transfer/pierre-transfer", NULL};

static int transfer(struct ctl *ctl, int argc, char **argv)
{
	static char json[] = "--json";
	char own[PATH_MAX], path[PATH_MAX + 64];
	char **arguments = calloc((size_t)argc + 2, sizeof *arguments);

	if (arguments == NULL)
		return output_fail(EX_OSERR, "out of memory");
	memcpy(arguments, argv, (size_t)argc * sizeof *arguments);
	if (ctl->json)
		arguments[argc] = json;
	connect_own_folder(own);
	for (size_t i = 0; places[i] != NULL; i++) {
		(void)snprintf(path, sizeof path, "%s%s", own, places[i]);
		(void)execv(path, arguments);
	}
	(void)execv(PIERRE_LIBEXECDIR "/pierre-transfer", arguments);
	free(arguments);
	return output_fail(EX_OSFILE, "cannot run %s: %s", PIERRE_LIBEXECDIR "/pierre-transfer",
		strerror(errno));
}

const struct command transfer_commands[] = {
	{"transfer", "[--from URL] [--to URL] [--encryption-key-file FILE] [--env-file FILE]",
		"Copy an installation to another, empty database",
		"Examples:\n"
		"  pierre-dbctl transfer --from sqlite:/var/lib/pierre-dbd/pierre.db \\\n"
		"    --to postgresql://pierre@db.example.com/pierre\n"
		"  FROM_DATABASE_URL=postgresql://pierre:secret@db/pierre \\\n"
		"    pierre-dbctl transfer --to sqlite:./pierre.db\n\n"
		"Either side may be SQLite or PostgreSQL. The defaults of --from and --to are\n"
		"$FROM_DATABASE_URL and $TO_DATABASE_URL. Put a URL with a password there, or\n"
		"omit the password and use $PGPASSWORD or ~/.pgpass. The key is found as by the\n"
		"daemon: $ENCRYPTION_KEY, --encryption-key-file or .env.\n\n"
		"The source is read in one snapshot and never written; a daemon may keep using\n"
		"it. A target that is not empty is refused. The copy is read back and compared by\n"
		"checksums, and every token is opened, before everything is committed at once.\n"
		"An interrupted transfer leaves an empty target: run it again.",
		transfer},
	{0},
};
