/* The settings of pierre-dbd-exporter: a table with one row each. Parsing, --help and its Markdown
 * form are made from it.
 *
 * A value is taken from the option, else the environment, else the default; an empty value counts
 * as not set. */
#ifndef PIERRE_EXPORTER_OPTIONS_H
#define PIERRE_EXPORTER_OPTIONS_H

#include <stdint.h>
#include <stdio.h>

struct exporter_options {
	const char *listen, *socket; /* socket: NULL: where the library looks for it */
	uint64_t timeout_ms, connections;
};

enum exporter_command {
	EXPORTER_SERVE,
	EXPORTER_DONE, /* --help or --version was printed */
	EXPORTER_REFUSED,
};

/* Reports what is wrong on standard error; *exit_code is then that of the program. */
enum exporter_command exporter_options_read(
	struct exporter_options *options, int argc, char **argv, int *exit_code);
/* Prints `pierre-dbd-exporter: …` to standard error; returns the code. */
int exporter_options_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
