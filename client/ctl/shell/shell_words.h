/* The words of a command typed into the shell. */
#ifndef PIERRE_CTL_SHELL_WORDS_H
#define PIERRE_CTL_SHELL_WORDS_H

#include <stddef.h>

#include "buffer.h"

enum shell_words_state {
	SHELL_WORDS_WHOLE,
	SHELL_WORDS_OPEN, /* a JSON text continues on the next line */
	SHELL_WORDS_BAD,  /* `problem` says why */
};

/* As in sh, white space separates words, quotes keep it, and a backslash quotes one character. A
 * word that begins with { or [, and a value after := that begins with {, [ or ", is a JSON text: it
 * keeps its quotes and may contain white space and line breaks. */
struct shell_words {
	char **list; /* ends with NULL; commands may reorder it */
	int count;
	size_t last; /* where the last word begins in the text */
	const char *problem;
	struct buffer text; /* holds the words */
};

/* In each state the caller frees the words. */
enum shell_words_state shell_words_split(struct shell_words *words, const char *text);
/* Wipes them: they may hold a password. */
void shell_words_free(struct shell_words *words);

#endif
