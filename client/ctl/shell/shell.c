/* pierre-dbctl shell: calls, line by line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../catalog/tree.h"
#include "../connect.h"
#include "../options.h"
#include "../output.h"
#include "../text.h"
#include "catalog.h"
#include "nearest.h"
#include "shell_call.h"
#include "shell_history.h"
#include "shell_input.h"
#include "shell_signals.h"
#include "shell_spawn.h"
#include "shell_words.h"

enum { CONNECT_MS = 2000 }; /* bridges a restart of the daemon */

struct shell {
	struct ctl *ctl;
	struct shell_input input;
	struct shell_history history;
	struct buffer text; /* the command that is being read */
	bool keep_going, ended;
	char speaker[64]; /* how messages begin */
};

static const char help_text[] =
	"METHOD [name=text | name:=json | JSON | @FILE]...\n"
	"                 call a method; with -r, print a string without quotes\n"
	"transaction METHOD ... , METHOD ...\n"
	"                 run calls in one transaction\n"
	"describe METHOD  show the parameters and result of a method\n"
	"methods          list all methods\n"
	"health, top ...  run any other command; `help COMMAND` explains it\n"
	"quit             leave; so does ^D\n\n"
	"Quotes keep white space: user.display_name='Ana B'. A JSON text needs no quotes\n"
	"and continues on further lines until its brackets are closed. Tab completes\n"
	"methods, parameters and values. ^C cancels the running call, or the line.\n";

/* Commands
 * ----------------------------------------------------------------------
 */

static const struct command *shell_find_command(const char *name)
{
	for (const struct command *const *family = command_families; *family != NULL; family++)
		for (const struct command *command = *family; command->name != NULL; command++)
			if (strcmp(command->name, name) == 0)
				return command;
	return NULL;
}

static int unknown_word(const char *word)
{
	struct nearest nearest = {.wanted = word};
	const char *near;

	for (size_t i = 0; i < catalog_method_count; i++)
		nearest_offer(&nearest, catalog_methods[i].name);
	for (const struct command *const *family = command_families; *family != NULL; family++)
		for (const struct command *command = *family; command->name != NULL; command++)
			nearest_offer(&nearest, command->name);
	near = nearest_name(&nearest);
	if (near != NULL)
		return output_fail(EX_USAGE,
			"unknown method or command \"%s\"; did you mean \"%s\"?", word, near);
	return output_fail(
		EX_USAGE, "unknown method or command \"%s\"; `methods` and `help` list them", word);
}

static bool is_method(const char *word)
{
	return catalog_find(word, strlen(word)) != NULL;
}

/* `METHOD …` is short for `call METHOD …`. */
static int call_method(const struct shell *shell, char **words, int count)
{
	static char call[] = "call";
	char **argv = calloc((size_t)count + 2, sizeof *argv);
	int status;

	if (argv == NULL)
		return output_fail(EX_OSERR, "out of memory");
	argv[0] = call;
	memcpy(argv + 1, words, (size_t)count * sizeof *words);
	status = call_commands[0].run(shell->ctl, count + 1, argv);
	free(argv);
	return status;
}

static int show_help(const struct shell *shell, char **words, int count)
{
	static char describe[] = "describe";

	if (count == 1) {
		(void)fputs(help_text, stdout);
		return 0;
	}
	if (is_method(words[1]))
		words[0] = describe;
	else if (shell_find_command(words[1]) == NULL)
		return unknown_word(words[1]);
	return shell_spawn_run(shell->ctl, false, words, count);
}

static int run_words(struct shell *shell, char **words, int count)
{
	const struct command *command;

	if (strcmp(words[0], "quit") == 0 || strcmp(words[0], "exit") == 0) {
		shell->ended = true;
		return 0;
	}
	if (strcmp(words[0], "help") == 0)
		return show_help(shell, words, count);
	if (is_method(words[0]))
		return call_method(shell, words, count);
	command = shell_find_command(words[0]);
	if (command == NULL)
		return unknown_word(words[0]);
	if (command == shell_commands)
		return output_fail(EX_USAGE, "this is the shell");
	if (command == call_commands || command == transaction_commands)
		return command->run(shell->ctl, count, words);
	return shell_spawn_run(shell->ctl, shell->input.interactive, words, count);
}

/* The session
 * ----------------------------------------------------------------------
 */

/* A session that is no dialogue names the line in its messages. */
static void name_speaker(struct shell *shell)
{
	const char *red = shell->ctl->colours && isatty(STDERR_FILENO) == 1 ? "\033[31m" : "";

	if (shell->input.interactive)
		(void)snprintf(shell->speaker, sizeof shell->speaker, "%serror%s", red,
			*red != '\0' ? "\033[0m" : "");
	else
		(void)snprintf(shell->speaker, sizeof shell->speaker, "pierre-dbctl: line %u",
			shell->input.lines + 1);
	output_speak_as(shell->speaker, shell->input.interactive);
}

/* Arrow keys bring a command back as one line: within JSON, a line break is a space. */
static void remember_command(struct shell *shell, const struct shell_words *words)
{
	for (char *at = shell->text.data; *at != '\0'; at++)
		*at = *at == '\n' ? ' ' : *at;
	shell_input_remember(&shell->input, shell->text.data);
	if (shell->input.interactive && shell_history_may_store(words))
		shell_history_store(&shell->history, shell->text.data);
}

static int end_of_input(struct shell *shell)
{
	bool within = shell->text.length > 0;

	/* ^D within a command gives up that command. */
	shell->ended = !(within && shell->input.interactive);
	return within ? output_fail(EX_USAGE, "a JSON text is not closed") : 0;
}

/* The lines read so far are a command, or its beginning. Stores its words once it is whole. */
static int split_command(struct shell *shell, struct shell_words *words, bool *open)
{
	enum shell_words_state state;
	int status;

	*open = false;
	buffer_byte(&shell->text, '\0');
	if (shell->text.failure != BUFFER_OK)
		return output_fail(EX_OSERR, "out of memory");
	if (shell->text.data[strspn(shell->text.data, " \t")] == '#')
		return 0; /* a comment */
	state = shell_words_split(words, shell->text.data);
	if (state == SHELL_WORDS_WHOLE)
		return 0;
	*open = state == SHELL_WORDS_OPEN;
	status = *open ? 0 : output_fail(EX_USAGE, "%s", words->problem);
	shell_words_free(words);
	if (*open)
		shell->text.data[shell->text.length - 1] = '\n';
	else
		shell_input_remember(&shell->input, shell->text.data); /* to be corrected */
	return status;
}

/* Reads a command; there are no words after an empty line, a comment, ^C or a failure. Returns 0,
 * or the exit code after reporting it. */
static int next_command(struct shell *shell, struct shell_words *words)
{
	bool open = true;
	int status = 0;

	if (shell->text.data != NULL)
		buffer_wipe(&shell->text); /* may hold a password */
	name_speaker(shell);
	for (const char *prompt = "pierre> "; open; prompt = "    ... ") {
		switch (shell_input_read(&shell->input, prompt, &shell->text)) {
		case SHELL_INPUT_LINE:
			status = split_command(shell, words, &open);
			break;
		case SHELL_INPUT_END:
			return end_of_input(shell);
		case SHELL_INPUT_INTERRUPT:
			return 0;
		case SHELL_INPUT_FAILED:
			shell->ended = true;
			return EX_IOERR;
		}
	}
	return status;
}

static int run_session(struct shell *shell)
{
	int first = 0;

	while (!shell->ended) {
		struct shell_words words = {.count = 0};
		int status = next_command(shell, &words);

		if (words.count > 0) {
			remember_command(shell, &words);
			status = run_words(shell, words.list, words.count);
		}
		shell_words_free(&words);
		if (fflush(stdout) != 0)
			return output_fail(EX_IOERR, "cannot write the output");
		if (status == 0)
			connect_wait_up_to(shell->ctl, CONNECT_MS);
		if (status == 0 || shell->input.interactive)
			continue;
		first = first == 0 ? status : first;
		shell->ended |= !shell->keep_going;
	}
	return first;
}

/* Without a daemon the session goes on: each call tries to connect. */
static void greet(struct shell *shell)
{
	json_t *version;

	name_speaker(shell);
	if (tree_call(shell->ctl, "daemon.version", &version) == 0) {
		(void)printf("pierre-dbd %s (%s). ", tree_text(version, "version"),
			tree_text(version, "backend"));
		json_decref(version);
	}
	(void)printf("%s`help` explains, ^D ends.\n",
		shell->input.edit != NULL ? "Tab completes, " : "");
}

static void bring_back(void *userdata, const char *command)
{
	shell_input_remember(userdata, command);
}

static int shell_run(struct ctl *ctl, int argc, char **argv)
{
	struct shell shell = {.ctl = ctl};
	bool no_history = false;
	const struct option_row rows[] = {
		{.name = "keep-going", .letter = 'k', .flag = &shell.keep_going},
		{.name = "no-history", .flag = &no_history},
		{0},
	};
	int words = options_read(rows, argc, argv), status;

	if (words < 0)
		return EX_USAGE;
	if (words > 0)
		return output_fail(EX_USAGE, "shell accepts options only");
	text_reserve_stdin();
	shell_input_open(&shell.input);
	if (shell.input.interactive) {
		ctl->call = shell_call_run;
		shell_signals_begin();
		if (shell.input.edit != NULL && !no_history)
			shell_history_open(&shell.history, bring_back, &shell.input);
		if (!ctl->json)
			greet(&shell);
		connect_wait_up_to(ctl, CONNECT_MS);
	}
	status = run_session(&shell);
	shell_input_close(&shell.input);
	if (shell.text.data != NULL)
		buffer_wipe(&shell.text);
	buffer_free(&shell.text);
	output_speak_as("pierre-dbctl", false);
	return status;
}

const struct command shell_commands[] = {
	{"shell", "[-k] [--keep-going] [--no-history]", "Call methods line by line",
		"Examples:\n"
		"  pierre-dbctl shell\n"
		"  pierre> get_user_by_email email=ana@example.com\n"
		"  pierre> create_goal user_id=... goal_data:={\n"
		"      ...   \"title\": \"10 km\", \"target\": 10\n"
		"      ... }\n"
		"  pierre-dbctl shell <calls.txt\n\n"
		"A line is a method with its parameters, written as for `call`, or another\n"
		"command of this program. Quotes keep white space. A JSON text needs no quotes\n"
		"and continues on further lines until its brackets are closed. A line that\n"
		"begins with # is a comment. The connection stays open, and is opened again when\n"
		"the daemon has restarted.\n\n"
		"On a terminal, Tab completes methods, parameters and values, the arrow keys\n"
		"bring earlier lines back, ^C cancels the running call or the line, and ^D ends.\n"
		"Editing needs libedit; ~/.editrc configures it.\n\n"
		"Earlier lines are stored in $XDG_STATE_HOME/pierre-dbctl/history (default:\n"
		"~/.local/state), readable by their owner alone. A line is not stored when it\n"
		"holds a secret, such as a password or a hash, or a URL, or when it is not\n"
		"understood. A secret in a file (name=@FILE) does not stand in the line.\n"
		"--no-history     Neither read nor store earlier lines.\n\n"
		"From a file or a pipe, the first command that fails ends the session with its\n"
		"exit code, and the message names the line.\n"
		"--keep-going, -k Run the other commands too.",
		shell_run},
	{0},
};
