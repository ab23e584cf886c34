/* The options of a command: a table of rows, parsed by getopt_long(). main.c removes the options
 * that every command has (--json, --socket, …) beforehand.
 *
 * Options may precede, follow or separate the words. `--name VALUE`, `--name=VALUE`, `-nVALUE` and
 * `-n VALUE` are the same; `--` ends the options. Thread: one. */
#ifndef PIERRE_CTL_OPTIONS_H
#define PIERRE_CTL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct option_row {
	const char *name;  /* without the dashes */
	char letter;       /* 0: no short form */
	bool *flag;        /* an option without a value: set to true */
	const char **text; /* else one of these receives the value: the text, */
	uint64_t *number;  /* or a whole decimal number from min to max */
	uint64_t min, max;
};

enum { OPTION_ROWS_MAX = 8 };

/* Parses the options from argv[1] on; rows ends with an entry without a name. The words are moved
 * to argv[1] and after. Returns the number of words, or -1 after reporting an error. */
int options_read(const struct option_row *rows, int argc, char **argv);
/* For a command without options and words: returns 0 or EX_USAGE. */
int options_none(int argc, char **argv);

#endif
