/* Lines edited on a terminal, by libedit. */
#ifndef PIERRE_CTL_SHELL_EDIT_H
#define PIERRE_CTL_SHELL_EDIT_H

#include "shell_input.h"

struct shell_editor {
	struct shell_edit *(*open)(void); /* NULL when out of memory */
	void (*close)(struct shell_edit *edit);
	enum shell_input_line (*read)(
		struct shell_edit *edit, const char *prompt, struct buffer *line);
	void (*remember)(struct shell_edit *edit, const char *command);
};

/* Part of a build with libedit alone. */
extern const struct shell_editor shell_edit_editor;

#endif
