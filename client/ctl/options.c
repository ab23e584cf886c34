/* Parses the options of commands by getopt_long(). */
#include "output.h"
#include "text.h"
#include "options.h"

#include <getopt.h>
#include <string.h>

#include "ctl.h"

/* Values of getopt_long() for options without a letter. */
enum { NO_LETTER = 256 };

struct getopt_tables {
	struct option names[OPTION_ROWS_MAX + 1];
	char letters[2 + OPTION_ROWS_MAX * 2 + 1];
};

static void make_tables(const struct option_row *rows, struct getopt_tables *tables)
{
	char *letters = tables->letters;

	*letters++ = ':'; /* a missing value is distinguished from an unknown option */
	for (int i = 0; rows[i].name != NULL; i++) {
		bool valued = rows[i].flag == NULL;

		tables->names[i] = (struct option){rows[i].name,
			valued ? required_argument : no_argument, NULL, NO_LETTER + i};
		if (rows[i].letter != 0) {
			*letters++ = rows[i].letter;
			if (valued)
				*letters++ = ':';
		}
	}
	*letters = '\0';
}

static const struct option_row *option_of(const struct option_row *rows, int code)
{
	if (code >= NO_LETTER)
		return &rows[code - NO_LETTER];
	while (rows->letter != code)
		rows++;
	return rows;
}

static int store_option(const struct option_row *row, const char *value)
{
	if (row->flag != NULL)
		*row->flag = true;
	else if (*value == '\0')
		return output_fail(EX_USAGE, "--%s requires a value", row->name);
	else if (row->text != NULL)
		*row->text = value;
	else if (!text_to_number(value, row->min, row->max, row->number))
		return output_fail(EX_USAGE, "--%s expects a number from %llu to %llu, not \"%s\"",
			row->name, (unsigned long long)row->min, (unsigned long long)row->max,
			value);
	return 0;
}

/* `given` is the argument in argv. */
static int bad_option(const struct option_row *rows, int code, char **argv, const char *given)
{
	if (code == ':')
		return output_fail(
			EX_USAGE, "--%s requires a value", option_of(rows, optopt)->name);
	if (optopt >= NO_LETTER)
		return output_fail(
			EX_USAGE, "--%s accepts no value", option_of(rows, optopt)->name);
	if (optopt != 0 && given[1] != '-')
		return output_fail(EX_USAGE, "%s has no option -%c", argv[0], optopt);
	return output_fail(EX_USAGE, "%s has no option %s", argv[0], given);
}

int options_read(const struct option_row *rows, int argc, char **argv)
{
	struct getopt_tables tables = {0};
	int code;

	make_tables(rows, &tables);
	opterr = 0;
	optind = 0; /* restarts the parsing after another table */
	while ((code = getopt_long(argc, argv, tables.letters, tables.names, NULL)) != -1) {
		int status = code == '?' || code == ':'
			? bad_option(rows, code, argv, argv[optind - 1])
			: store_option(option_of(rows, code), optarg);

		if (status != 0)
			return -1;
	}
	memmove(argv + 1, argv + optind, (size_t)(argc - optind) * sizeof *argv);
	return argc - optind;
}

int options_none(int argc, char **argv)
{
	return argc == 1 ? 0 : output_fail(EX_USAGE, "%s accepts no arguments", argv[0]);
}
