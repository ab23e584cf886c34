#include "shell_input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../output.h"
#include "../terminal.h"
#include "shell_edit.h"
#include "shell_signals.h"

enum { STEP = 65536 };

#ifdef PIERRE_LIBEDIT
static const struct shell_editor *const editor = &shell_edit_editor;
#else
static const struct shell_editor *const editor = NULL;
#endif

void shell_input_open(struct shell_input *input)
{
	*input = (struct shell_input){.interactive = isatty(STDIN_FILENO) == 1};
	if (editor != NULL && input->interactive && isatty(STDOUT_FILENO) == 1 &&
		terminal_moves_cursor())
		input->edit = editor->open();
}

void shell_input_close(struct shell_input *input)
{
	if (input->edit != NULL)
		editor->close(input->edit);
	if (input->held.data != NULL)
		buffer_wipe(&input->held); /* may hold a password */
	buffer_free(&input->held);
}

/* More bytes into `held`; stores whether the input has ended. */
static enum shell_input_line fill_held(struct shell_input *input, bool *ended)
{
	struct pollfd watched = {.fd = STDIN_FILENO, .events = POLLIN};
	struct shell_signals signals;
	unsigned found = 0;
	ssize_t n;

	if (!buffer_reserve(&input->held, STEP)) {
		(void)output_fail(EX_OSERR, "out of memory");
		return SHELL_INPUT_FAILED;
	}
	if (input->interactive) {
		shell_signals_take(&signals, false);
		found = shell_signals_wait(&signals, &watched, 1, -1);
		shell_signals_release(&signals);
	}
	if (found != 0)
		return SHELL_INPUT_INTERRUPT;
	do
		n = read(STDIN_FILENO, input->held.data + input->held.length, STEP);
	while (n < 0 && errno == EINTR);
	if (n < 0 && !input->interactive) { /* a terminal that was closed is an end */
		(void)output_fail(EX_IOERR, "cannot read the commands: %s", strerror(errno));
		return SHELL_INPUT_FAILED;
	}
	*ended = n <= 0;
	input->held.length += n > 0 ? (size_t)n : 0;
	return SHELL_INPUT_LINE;
}

/* Removes what was taken before. */
static void compact(struct shell_input *input)
{
	size_t rest = input->held.length - input->taken;

	if (rest > 0)
		memmove(input->held.data, input->held.data + input->taken, rest);
	if (input->held.data != NULL)
		explicit_bzero(input->held.data + rest, input->held.capacity - rest);
	input->held.length = rest;
	input->taken = 0;
}

static enum shell_input_line plain_line(struct shell_input *input, struct buffer *line)
{
	bool ended = false;
	size_t seen = 0;

	compact(input);
	for (;;) {
		char *data = input->held.data;
		char *end = seen < input->held.length
			? memchr(data + seen, '\n', input->held.length - seen)
			: NULL;
		enum shell_input_line state;

		if (end != NULL || (ended && input->held.length > 0)) {
			size_t length = end != NULL ? (size_t)(end - data) : input->held.length;

			buffer_append(line, data, length);
			input->taken = length + (end != NULL ? 1 : 0);
			return SHELL_INPUT_LINE;
		}
		if (ended)
			return SHELL_INPUT_END;
		seen = input->held.length;
		state = fill_held(input, &ended);
		if (state != SHELL_INPUT_LINE)
			return state;
	}
}

enum shell_input_line shell_input_read(
	struct shell_input *input, const char *prompt, struct buffer *line)
{
	size_t before = line->length;
	enum shell_input_line state;

	if (input->edit != NULL) {
		state = editor->read(input->edit, prompt, line);
	} else {
		if (input->interactive) {
			/* As the results, unless these go into a file. */
			FILE *out = isatty(STDOUT_FILENO) == 1 ? stdout : stderr;

			(void)fputs(prompt, out);
			(void)fflush(out);
		}
		state = plain_line(input, line);
	}
	if (state != SHELL_INPUT_LINE)
		return state;
	input->lines++;
	if (line->failure == BUFFER_OK &&
		(line->length == before || /* there may be no data yet */
			memchr(line->data + before, '\0', line->length - before) == NULL))
		return state;
	(void)output_fail(EX_DATAERR,
		line->failure == BUFFER_OK ? "a NUL byte in the commands" : "out of memory");
	return SHELL_INPUT_FAILED;
}

void shell_input_remember(struct shell_input *input, const char *command)
{
	if (input->edit != NULL)
		editor->remember(input->edit, command);
}
