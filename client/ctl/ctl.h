/* pierre-dbctl: definitions shared by its commands.
 *
 * A command is a row in the table of its family's file; main.c lists the families. stdout carries
 * data, stderr messages. A command returns the exit code of the program: 0; 1 for an error returned
 * by the daemon; else one of sysexits.h (75: a retry may succeed). One thread. */
#ifndef PIERRE_CTL_H
#define PIERRE_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pierre-db.h"

enum { EXIT_DAEMON_ERROR = 1 };

struct ctl {
	const char *socket;     /* --socket, or NULL */
	bool json;              /* --json */
	bool terminal;          /* stdout is a terminal */
	bool colours;           /* and it shows colours, which are not disabled */
	double timeout_seconds; /* --timeout; 0: the library's default */
	unsigned connect_ms;    /* see connect_wait_up_to() */
	struct pierre *db;      /* opened by the first call */
	/* How connect_call() waits for an answer, reports, and returns; NULL: it blocks. */
	int (*call)(struct ctl *ctl, const char *method, const char *params, char **result);
};

struct command {
	const char *name;
	const char *arguments; /* for the usage line */
	const char *summary;
	const char *help; /* examples, then a description */
	int (*run)(struct ctl *ctl, int argc,
		char **argv); /* argv[0] is the command's name; global options are removed */
};

/* Each table ends with an entry without a name. */
extern const struct command call_commands[];
extern const struct command transaction_commands[];
extern const struct command position_commands[];
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
extern const struct command shell_commands[];
extern const struct command completion_commands[];
extern const struct command *const command_families[]; /* main.c; ends with NULL */

#endif
