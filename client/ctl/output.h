/* Messages on stderr, and JSON and colours on stdout. */
#ifndef PIERRE_CTL_OUTPUT_H
#define PIERRE_CTL_OUTPUT_H

#include <sysexits.h>

#include "ctl.h"

/* From now on messages are JSON texts, one per line. */
void output_messages_as_json(void);
/* Prints `pierre-dbctl: …` to stderr; returns the code. */
int output_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Messages begin with this text from now on, instead of `pierre-dbctl`; it must stay valid.
 * members: a failed call also shows the members of its error. */
void output_speak_as(const char *name, bool members);
/* Adds a hint to the preceding message; nothing with --json. */
void output_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Reports a failed call with a hint; returns the exit code. */
int output_call_failed(const struct ctl *ctl, const struct pierre_error *error);
/* Prints a JSON text and a newline to stdout; indented and coloured on a terminal. */
void output_print_json(const struct ctl *ctl, const char *text);
/* Escape sequences, or "" when the output is plain. */
const char *output_bold(const struct ctl *ctl);
const char *output_dim(const struct ctl *ctl);
const char *output_status_colour(const struct ctl *ctl, const char *status);
const char *output_plain(const struct ctl *ctl);

#endif
