/* What may stand at the end of a command: commands, methods, parameters and their values. */
#ifndef PIERRE_CTL_SHELL_COMPLETE_H
#define PIERRE_CTL_SHELL_COMPLETE_H

#include <stdbool.h>
#include <stddef.h>

struct shell_complete {
	char **list; /* each begins with the word typed so far */
	size_t count, capacity;
	size_t typed; /* bytes of that word */
	bool failed;  /* out of memory */
};

/* command: the text before the cursor. The caller frees what is found. */
void shell_complete_find(struct shell_complete *found, const char *command);
void shell_complete_free(struct shell_complete *found);
/* The bytes that all of them begin with. */
size_t shell_complete_common(const struct shell_complete *found);

#endif
