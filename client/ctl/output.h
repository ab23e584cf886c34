/* Messages on stderr, and JSON and colours on stdout. */
#ifndef PIERRE_CTL_OUTPUT_H
#define PIERRE_CTL_OUTPUT_H

#include <sysexits.h>

#include "ctl.h"

/* From here on messages are JSON texts, one a line. */
void output_messages_as_json(void);
/* `pierre-dbctl: …` to stderr; returns the code. */
int output_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* More to a message before it, for people alone. */
void output_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Reports a failed call and what to try; returns the exit code. */
int output_call_failed(const struct ctl *ctl, const struct pierre_error *error);
/* stdout: a JSON text; indented and coloured on a terminal, else as it is; with a newline. */
void output_print_json(const struct ctl *ctl, const char *text);
/* Escape sequences, or "" when the output is plain. */
const char *output_bold(const struct ctl *ctl);
const char *output_dim(const struct ctl *ctl);
const char *output_status_colour(const struct ctl *ctl, const char *status);
const char *output_plain(const struct ctl *ctl);

#endif
