/* Lines of a session, from a terminal or a file. */
#ifndef PIERRE_CTL_SHELL_INPUT_H
#define PIERRE_CTL_SHELL_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"

struct shell_edit;

enum shell_input_line {
	SHELL_INPUT_LINE,
	SHELL_INPUT_END,       /* ^D, the end of the file, or of the terminal */
	SHELL_INPUT_INTERRUPT, /* ^C: what was typed is void */
	SHELL_INPUT_FAILED,    /* reported */
};

struct shell_input {
	bool interactive;        /* stdin is a terminal */
	struct shell_edit *edit; /* NULL: lines are read as they are */
	unsigned lines;          /* read so far */
	struct buffer held;      /* read, but not yet taken */
	size_t taken;
};

void shell_input_open(struct shell_input *input);
void shell_input_close(struct shell_input *input);
/* Appends the next line, without its end. prompt: for an interactive session. */
enum shell_input_line shell_input_read(
	struct shell_input *input, const char *prompt, struct buffer *line);
/* The arrow keys bring it back. */
void shell_input_remember(struct shell_input *input, const char *command);

#endif
