/* pierre-dbctl: talks to pierre-dbd from a terminal or a script. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "start.h"
#include "terminal.h"
#include "ctl.h"
#include "nearest.h"

const struct command *const command_families[] = {
	call_commands,
	transaction_commands,
	position_commands,
	catalog_commands,
	status_commands,
	stats_commands,
	top_commands,
	metrics_commands,
	admin_commands,
	doctor_commands,
	backup_commands,
	verify_commands,
	rotate_commands,
	transfer_commands,
	shell_commands,
	bench_commands,
	completion_commands,
	NULL,
};

enum { USAGE_WIDTH = 80, USAGE_INDENT = 8 };

#define for_each_command(command)                                                                  \
	for (const struct command *const *family = command_families; *family != NULL; family++)    \
		for (const struct command *command = *family; command->name != NULL; command++)

static void print_help(void)
{
	(void)fputs("Control and query pierre-dbd.\n\n"
		    "Examples:\n"
		    "  pierre-dbctl call get_user_by_email email=ana@example.com\n"
		    "  pierre-dbctl call create_user user.email=ana@example.com \\\n"
		    "    user.password=@password.txt\n"
		    "  pierre-dbctl describe create_goal\n"
		    "  pierre-dbctl ready && echo it answers\n"
		    "  pierre-dbctl bench get_user user_id=@ids.txt -c 8 -P 16 -n 100000\n\n"
		    "usage: pierre-dbctl [options] COMMAND [arguments]\n\nCommands:\n",
		stdout);
	for_each_command(command)(void) printf("  %-12s %s\n", command->name, command->summary);
	(void)fputs(
		"\nOptions (before or after the command):\n"
		"  --socket PATH      path of the daemon's socket (default: $PIERRE_DBD_SOCKET,\n"
		"                     else the daemon's own default)\n"
		"  --json             print results on stdout and messages on stderr as JSON\n"
		"  --timeout SECONDS  time limit of one call (35)\n"
		"  --help             show this help, or the help of the command\n"
		"  --version          show the version\n"
		"  --                 end of the options\n\n"
		"Exit codes:\n"
		"  0   success\n"
		"  1   the daemon returned an error; `ready`: not ready\n"
		"  64  wrong usage\n"
		"  65  damaged or invalid data\n"
		"  66  no such file\n"
		"  69  unavailable\n"
		"  70  internal error\n"
		"  71  out of memory, or a system error\n"
		"  72  a program of the package is missing\n"
		"  73  cannot create a file\n"
		"  74  input/output error, or the outcome of a change is unknown\n"
		"  75  temporary failure, such as no connection: try again\n"
		"  76  the socket's peer does not speak the protocol\n"
		"  77  wrong encryption key\n"
		"  78  invalid configuration\n",
		stdout);
}

/* The length of an argument of the usage line: spaces within brackets are part of it. */
static size_t argument_length(const char *text)
{
	size_t length = 0;
	int depth = 0;

	while (text[length] != '\0' && (text[length] != ' ' || depth > 0)) {
		depth += text[length] == '[' ? 1 : text[length] == ']' ? -1 : 0;
		length++;
	}
	return length;
}

/* Wraps between arguments. */
static void print_usage(const struct command *command)
{
	int column = printf("usage: pierre-dbctl %s", command->name);
	const char *text = command->arguments;

	while (*text != '\0') {
		int length = (int)argument_length(text);

		if (column + 1 + length > USAGE_WIDTH)
			column = printf("\n%*s", USAGE_INDENT - 1, "") - 1;
		column += printf(" %.*s", length, text);
		text += length;
		text += *text == ' ';
	}
	(void)putchar('\n');
}

static void print_command_help(const struct command *command)
{
	(void)printf("%s\n\n%s\n\n", command->summary, command->help);
	print_usage(command);
}

static const struct command *find_command(const char *name)
{
	struct nearest nearest = {.wanted = name};
	const char *near;

	for_each_command(command)
	{
		if (strcmp(command->name, name) == 0)
			return command;
		nearest_offer(&nearest, command->name);
	}
	near = nearest_name(&nearest);
	if (near != NULL)
		(void)output_fail(
			EX_USAGE, "unknown command \"%s\"; did you mean \"%s\"?", name, near);
	else
		(void)output_fail(EX_USAGE, "unknown command \"%s\"; --help lists them", name);
	return NULL;
}

/* The value of `--name VALUE` or `--name=VALUE`; advances *at. NULL when argv[*at] is another
 * option. *missing: the option has no value. */
static const char *option_value(int argc, char **argv, int *at, const char *name, bool *missing)
{
	size_t length = strlen(name);
	const char *value;

	if (strncmp(argv[*at], name, length) != 0)
		return NULL;
	if (argv[*at][length] != '=' && argv[*at][length] != '\0')
		return NULL;
	value = argv[*at][length] == '=' ? argv[*at] + length + 1
		: *at + 1 < argc         ? argv[++*at]
					 : "";
	*missing = *value == '\0';
	return value;
}

struct wishes {
	bool help, version;
};

static int read_timeout(struct ctl *ctl, const char *text)
{
	char *end;

	errno = 0;
	ctl->timeout_seconds = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0 ||
		!(ctl->timeout_seconds > 0 && ctl->timeout_seconds <= 1e6))
		return output_fail(EX_USAGE, "--timeout expects seconds, not \"%s\"", text);
	return 0;
}

/* Removes the global options from argv. Returns the number of remaining arguments, or -1. */
static int ctl_main_take_options(struct ctl *ctl, int argc, char **argv, struct wishes *wishes)
{
	int kept = 0;

	for (int i = 1; i < argc; i++) {
		bool missing = false;
		const char *name = argv[i], *value;

		if (strcmp(argv[i], "--") == 0) {
			while (++i < argc)
				argv[kept++] = argv[i];
			break;
		}
		if (strcmp(argv[i], "--json") == 0) {
			ctl->json = true;
		} else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			wishes->help = true;
		} else if (strcmp(argv[i], "--version") == 0) {
			wishes->version = true;
		} else if ((value = option_value(argc, argv, &i, "--socket", &missing)) != NULL) {
			ctl->socket = value;
		} else if ((value = option_value(argc, argv, &i, "--timeout", &missing)) != NULL) {
			if (!missing && read_timeout(ctl, value) != 0)
				return -1;
		} else {
			argv[kept++] = argv[i];
		}
		if (missing) {
			(void)output_fail(
				EX_USAGE, "%.*s requires a value", (int)strcspn(name, "="), name);
			return -1;
		}
	}
	return kept;
}

static int ctl_main_run(struct ctl *ctl, int argc, char **argv, const struct wishes *wishes)
{
	const struct command *command;

	if (wishes->version && argc == 0) {
		(void)printf("pierre-dbctl %s\n", pierre_version());
		return 0;
	}
	if (argc == 0 && !wishes->help) {
		if (ctl->json)
			return output_fail(EX_USAGE, "a command is required; --help lists them");
		start_advise(ctl);
		return EX_USAGE;
	}
	if (argc == 0) {
		print_help();
		return 0;
	}
	if (strcmp(argv[0], "help") == 0 && (argc == 1 || strcmp(argv[1], "help") == 0)) {
		print_help();
		return 0;
	}
	command = find_command(strcmp(argv[0], "help") == 0 ? argv[1] : argv[0]);
	if (command == NULL)
		return EX_USAGE;
	if (wishes->help || strcmp(argv[0], "help") == 0) {
		print_command_help(command);
		return 0;
	}
	return command->run(ctl, argc, argv);
}

int main(int argc, char **argv)
{
	struct ctl ctl = {.terminal = isatty(STDOUT_FILENO) == 1};
	struct wishes wishes = {0};

	ctl.colours = ctl.terminal && terminal_shows_colours();
	/* --json also applies to messages about options that precede it. */
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			output_messages_as_json();

	int count = ctl_main_take_options(&ctl, argc, argv, &wishes), status;

	if (count < 0)
		return EX_USAGE;
	status = ctl_main_run(&ctl, count, argv, &wishes);
	pierre_free(ctl.db);
	if (fflush(stdout) != 0 && status == 0)
		status = output_fail(EX_IOERR, "cannot write the output: %s", strerror(errno));
	return status;
}
