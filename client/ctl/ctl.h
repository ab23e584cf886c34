/* pierre-dbctl: what its command files share.
 *
 * A command is a row in the table of the file that holds its family; main.c lists the families.
 * stdout is data, stderr is messages. Commands return the exit code of the program: 0; 1 for an
 * error that the daemon answered; else one of sysexits.h (75: the same may succeed a moment later).
 * One thread. */
#ifndef PIERRE_CTL_H
#define PIERRE_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pierre-db.h"

enum { EXIT_DAEMON_ERROR = 1 };

struct ctl {
	const char *socket; /* --socket, or NULL */
	bool json;          /* --json: for programs */
	bool terminal; /* stdout is a terminal that can show colours, and the user wants them */
	double timeout_seconds; /* --timeout; 0: the library's own */
	struct pierre *db;      /* opened by the first call */
};

struct command {
	const char *name;
	const char *arguments; /* as in the usage line */
	const char *summary;
	const char *help; /* examples first, then what there is to know */
	int (*run)(struct ctl *ctl, int argc,
		char **argv); /* argv[0] is the command's name; global options are taken out */
};

/* Each family's commands end with an entry without a name. */
extern const struct command call_commands[];
extern const struct command catalog_commands[];
extern const struct command status_commands[];
extern const struct command stats_commands[];
extern const struct command metrics_commands[];
extern const struct command top_commands[];
extern const struct command bench_commands[];
extern const struct command admin_commands[];
extern const struct command doctor_commands[];
extern const struct command backup_commands[];
extern const struct command rotate_commands[];
extern const struct command verify_commands[];
extern const struct command transfer_commands[];
extern const struct command completion_commands[];
extern const struct command *const command_families[]; /* main.c; ends with NULL */

#endif
