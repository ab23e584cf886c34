/* pierre-dbctl transfer: runs pierre-transfer, which links the databases' libraries, in its place.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../output.h"
#include "../ctl.h"

/* Beside this program, installed or not yet, wherever the folders were moved to; then where they
 * were to be installed. */
static const char *const places[] = {
	"/../libexec/pierre-dbd/pierre-transfer", "/../tools/transfer/pierre-transfer", NULL};

static int transfer(struct ctl *ctl, int argc, char **argv)
{
	static char json[] = "--json";
	char own[PATH_MAX], path[PATH_MAX + 64];
	ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
	char **arguments = calloc((size_t)argc + 2, sizeof *arguments);

	if (arguments == NULL)
		return output_fail(EX_OSERR, "out of memory");
	memcpy(arguments, argv, (size_t)argc * sizeof *arguments);
	if (ctl->json)
		arguments[argc] = json;
	own[length > 0 ? length : 0] = '\0';
	*(strrchr(own, '/') != NULL ? strrchr(own, '/') : own) = '\0';
	for (size_t i = 0; places[i] != NULL; i++) {
		(void)snprintf(path, sizeof path, "%s%s", own, places[i]);
		(void)execv(path, arguments);
	}
	(void)execv(PIERRE_LIBEXECDIR "/pierre-transfer", arguments);
	free(arguments);
	return output_fail(EX_OSFILE, "%s cannot be run: %s", PIERRE_LIBEXECDIR "/pierre-transfer",
		strerror(errno));
}

const struct command transfer_commands[] = {
	{"transfer", "[--from URL] [--to URL] [--encryption-key-file FILE] [--env-file FILE]",
		"copies an installation to another, empty database",
		"Examples:\n"
		"  pierre-dbctl transfer --from sqlite:/var/lib/pierre-dbd/pierre.db --to postgresql://pierre@db.example.com/pierre\n"
		"  FROM_DATABASE_URL=postgresql://pierre:secret@db/pierre pierre-dbctl transfer --to sqlite:./pierre.db\n\n"
		"SQLite and PostgreSQL on either side. Without --from and --to the URLs stand in $FROM_DATABASE_URL and $TO_DATABASE_URL: that is where\n"
		"a URL with a password belongs (or leave the password out, and use $PGPASSWORD or ~/.pgpass). The key is read as the daemon reads it:\n"
		"$ENCRYPTION_KEY, --encryption-key-file or .env. The source is read in one snapshot and never written; a daemon may go on using it. A\n"
		"target that is not empty is refused. What was written is read again and compared by checksums, and every token is opened, before all\n"
		"of it is committed at once: a transfer that was cut off leaves an empty target, and is begun again.",
		transfer},
	{0},
};
