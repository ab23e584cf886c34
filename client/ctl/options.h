/* The options of a command: a table of rows, read by getopt_long(). The options that every command
 * has (--json, --socket, …) are taken out by main.c before.
 *
 * An option may stand before, between or behind the words. `--name VALUE`, `--name=VALUE`,
 * `-nVALUE` and `-n VALUE` are the same; `--` ends the options. Thread: one. */
#ifndef PIERRE_CTL_OPTIONS_H
#define PIERRE_CTL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct option_row {
	const char *name;  /* without the dashes */
	char letter;       /* 0: there is no short form */
	bool *flag;        /* an option without a value: set to true */
	const char **text; /* else one of these gets its value: the text as it stands, */
	uint64_t *number;  /* or a whole decimal number from min to max */
	uint64_t min, max;
};

enum { OPTION_ROWS_MAX = 8 };

/* Reads the options of argv[1] and up; rows ends with an entry without a name. Words move up to
 * argv[1] and behind. Returns how many words there are, or -1 after reporting what is wrong. */
int options_read(const struct option_row *rows, int argc, char **argv);
/* The same for a command without any option or word: 0 or EX_USAGE. */
int options_none(int argc, char **argv);

#endif
