#include "exporter_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "pierre-db.h"

/* Each row has one of these. A time is given in seconds. */
#define MAX_TIME 60
#define MAX_CONNECTIONS 1000

static const struct exporter_option {
	const char *flag, *environment, *fallback, *value, *doc;
	uint64_t min, max; /* max 0: a text */
} rows[] = {
	{"listen", "PIERRE_DBD_EXPORTER_LISTEN", "127.0.0.1:9754", "ADDRESS",
		"loopback address and port, such as 127.0.0.1:9754 or [::1]:9754, or unix:PATH; "
		"other addresses are refused; under socket activation systemd's socket is used",
		0, 0},
	{"socket", "PIERRE_DBD_SOCKET", "", "PATH",
		"path of the daemon's socket; default as for pierre-dbctl", 0, 0},
	{"timeout", "PIERRE_DBD_EXPORTER_TIMEOUT", "5", "SECONDS",
		"time that the daemon has to answer; then the scrape gets 503", 1, MAX_TIME},
	{"connections", "PIERRE_DBD_EXPORTER_CONNECTIONS", "64", "NUMBER",
		"maximum number of HTTP connections; those without a request give up their places "
		"to others",
		4, MAX_CONNECTIONS},
};

enum { HELP_WIDTH = 80, HELP_INDENT = 8 };
enum { ROW_LISTEN, ROW_SOCKET, ROW_TIMEOUT, ROW_CONNECTIONS, ROW_COUNT };
_Static_assert(sizeof rows / sizeof *rows == ROW_COUNT, "a row without a name");

int exporter_options_fail(int code, const char *format, ...)
{
	va_list args;

	(void)fputs("pierre-dbd-exporter: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return code;
}

/* Wraps at HELP_WIDTH; each line begins at HELP_INDENT. */
static void print_exporter_words(const char *text)
{
	size_t column = HELP_INDENT;

	(void)printf("%*s", HELP_INDENT, "");
	while (*text != '\0') {
		size_t word = strcspn(text, " ");

		if (column > HELP_INDENT && column + 1 + word > HELP_WIDTH) {
			(void)printf("\n%*s", HELP_INDENT, "");
			column = HELP_INDENT;
		}
		if (column > HELP_INDENT) {
			(void)putchar(' ');
			column++;
		}
		(void)fwrite(text, 1, word, stdout);
		column += word;
		text += word + strspn(text + word, " ");
	}
	(void)putchar('\n');
}

static void print_exporter_help(void)
{
	(void)puts("Serves /metrics, /healthy and /ready of pierre-dbd to Prometheus.\n\n"
		   "usage: pierre-dbd-exporter [options]\n\nOptions:");
	for (const struct exporter_option *row = rows; row < rows + ROW_COUNT; row++) {
		(void)printf("  --%s %s\n", row->flag, row->value);
		print_exporter_words(row->doc);
		(void)printf("%*s(%s", HELP_INDENT, "", row->environment);
		if (*row->fallback != '\0')
			(void)printf("; default %s", row->fallback);
		if (row->max != 0)
			(void)printf("; %llu to %llu", (unsigned long long)row->min,
				(unsigned long long)row->max);
		(void)puts(")");
	}
	(void)puts(
		"  --help[=markdown], -h\n        show this help\n"
		"  --version, -V\n        show the version\n\n"
		"Exit codes: 0 stopped by a signal; 64 wrong usage; 71 out of memory or a system\n"
		"error; 73 cannot listen; 75 another program listens; 78 wrong value.");
}

/* The columns are those of `pierre-dbd --help=markdown`: docs/tables.py reads both. */
static void print_exporter_markdown(void)
{
	(void)puts("| flag | environment | default | range | |\n|---|---|---|---|---|");
	for (const struct exporter_option *row = rows; row < rows + ROW_COUNT; row++) {
		(void)printf("| `--%s` | `%s` | ", row->flag, row->environment);
		if (*row->fallback != '\0')
			(void)printf("`%s`", row->fallback);
		(void)fputs(" | ", stdout);
		if (row->max != 0)
			(void)printf("%llu to %llu", (unsigned long long)row->min,
				(unsigned long long)row->max);
		(void)printf(" | %s |\n", row->doc);
	}
}

/* Returns the number, or 0 after reporting what is wrong: no row allows 0. */
static uint64_t row_number(const struct exporter_option *row, const char *text)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number < row->min ||
		number > row->max) {
		(void)exporter_options_fail(EX_CONFIG,
			"--%s (%s) expects a number from %llu to %llu, not \"%s\"", row->flag,
			row->environment, (unsigned long long)row->min,
			(unsigned long long)row->max, text);
		return 0;
	}
	return number;
}

static enum exporter_command take_values(
	struct exporter_options *options, const char *const *given, int *exit_code)
{
	const char *values[ROW_COUNT];
	uint64_t seconds;

	for (int i = 0; i < ROW_COUNT; i++) {
		values[i] = given[i] != NULL ? given[i] : getenv(rows[i].environment);
		if (values[i] == NULL || *values[i] == '\0')
			values[i] = rows[i].fallback;
	}
	options->listen = values[ROW_LISTEN];
	options->socket = *values[ROW_SOCKET] != '\0' ? values[ROW_SOCKET] : NULL;
	seconds = row_number(&rows[ROW_TIMEOUT], values[ROW_TIMEOUT]);
	options->timeout_ms = seconds * 1000;
	options->connections = row_number(&rows[ROW_CONNECTIONS], values[ROW_CONNECTIONS]);
	if (seconds != 0 && options->connections != 0)
		return EXPORTER_SERVE;
	*exit_code = EX_CONFIG;
	return EXPORTER_REFUSED;
}

enum exporter_command exporter_options_read(
	struct exporter_options *options, int argc, char **argv, int *exit_code)
{
	struct option names[ROW_COUNT + 3] = {
		[ROW_COUNT] = {"help", optional_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
	};
	const char *given[ROW_COUNT] = {NULL};
	int code;

	for (int i = 0; i < ROW_COUNT; i++)
		names[i] = (struct option){rows[i].flag, required_argument, NULL, 256 + i};
	*exit_code = 0;
	while ((code = getopt_long(argc, argv, "hV", names, NULL)) != -1) {
		if (code >= 256) {
			given[code - 256] = optarg;
			continue;
		}
		if (code == 'V')
			(void)printf("pierre-dbd-exporter %s\n", pierre_version());
		else if (code == 'h' && optarg != NULL && strcmp(optarg, "markdown") == 0)
			print_exporter_markdown();
		else if (code == 'h' && optarg == NULL)
			print_exporter_help();
		else
			*exit_code = EX_USAGE; /* getopt_long() has said why */
		return *exit_code == 0 ? EXPORTER_DONE : EXPORTER_REFUSED;
	}
	if (optind < argc) {
		*exit_code = exporter_options_fail(EX_USAGE,
			"unexpected argument \"%s\"; --help lists the options", argv[optind]);
		return EXPORTER_REFUSED;
	}
	return take_values(options, given, exit_code);
}
