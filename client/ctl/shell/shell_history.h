/* The file with the commands of earlier sessions. It never gets a secret. */
#ifndef PIERRE_CTL_SHELL_HISTORY_H
#define PIERRE_CTL_SHELL_HISTORY_H

#include <limits.h>
#include <stdbool.h>

struct shell_words;

struct shell_history {
	char path[PATH_MAX]; /* "" when there is none */
};

/* Finds the file, $XDG_STATE_HOME/pierre-dbctl/history, and creates its folder. Calls `each` for
 * each stored command, oldest first. */
void shell_history_open(struct shell_history *history,
	void (*each)(void *userdata, const char *command), void *userdata);
/* Whether the command certainly holds no secret. False when it is not understood: a password may
 * follow a misspelt name. */
bool shell_history_may_store(const struct shell_words *words);
/* Appends a command of one line. */
void shell_history_store(const struct shell_history *history, const char *command);

#endif
