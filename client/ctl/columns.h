/* Tables and paragraphs that fit the terminal. */
#ifndef PIERRE_CTL_COLUMNS_H
#define PIERRE_CTL_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl.h"

/* A name, a type, and a text that may be long. */
struct columns_row {
	char *name, *type, *text;
};

/* Rows, collected until columns_print(). A zeroed struct is empty. */
struct columns {
	struct columns_row *rows;
	size_t count, capacity;
	bool failed; /* out of memory */
};

/* Copies the cells; type may be NULL. */
void columns_add(struct columns *table, const char *name, const char *type, const char *text);
/* Prints the rows, indented by two, and empties the table. On a terminal the cells of a column
 * begin below each other, and long texts continue below their beginning. Elsewhere a row is one
 * line: names are padded to `name_width`, and nothing else is. */
void columns_print(const struct ctl *ctl, struct columns *table, unsigned name_width);

/* Prints words; on a terminal, further lines are indented by `indent`. `column`: what the current
 * line has already. Without a newline at the end. */
void columns_wrap(const struct ctl *ctl, const char *text, unsigned column, unsigned indent);

#endif
