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
#include <sysexits.h>

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

/* Messages (output.c)
 * ------------------------------------------------------------------------------------------- */

/* From here on messages are JSON texts, one a line. */
void output_messages_as_json(void);
/* `pierre-dbctl: …` to stderr; returns the code. */
int output_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* More to a message before it, for people alone. */
void output_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Tells a failed call, with what to try; returns the exit code. */
int output_call_failed(const struct ctl *ctl, const struct pierre_error *error);
/* stdout: a JSON text; indented and coloured on a terminal, else as it is; with a newline. */
void output_print_json(const struct ctl *ctl, const char *text);
/* Escape sequences, or "" when the output is plain. */
const char *output_bold(const struct ctl *ctl);
const char *output_dim(const struct ctl *ctl);
const char *output_status_colour(const struct ctl *ctl, const char *status);
const char *output_plain(const struct ctl *ctl);

/* Calls (connect.c)
 * --------------------------------------------------------------------------------------------- */

/* The handle, opened when it is not yet; NULL when out of memory. */
struct pierre *connect_open(struct ctl *ctl);
/* A call by name; *result is to be freed with pierre_text_free. Reports the failure; returns 0 or
 * the exit code. */
int connect_call(struct ctl *ctl, const char *method, const char *params, char **result);

/* The daemon's program: beside this one, else wherever $PATH says. */
void connect_daemon_program(char *out, size_t size);

/* Texts (text.c)
 * ------------------------------------------------------------------------------------------------
 */

/* A whole file (`-`: stdin) with a NUL behind, to be freed; NULL after reporting why. */
char *text_of_file(const char *path, size_t *length);
/* Whole decimal number within the range; false when it is none. */
bool text_to_number(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* Params on the command line (params.c)
 * ------------------------------------------------------------------------- */

struct method;
/* `name=text name:=json …`, `@file` or `-` -> the params' JSON text, to be freed; NULL when there
 * are none. method: whose types texts are converted to; NULL: all are strings. Tells what is wrong;
 * returns 0 or the exit code. */
int params_from_arguments(const struct method *method, int argc, char **argv, char **params);
/* The method, or NULL after suggesting the nearest. */
const struct method *params_find_method(const char *name);

#endif
