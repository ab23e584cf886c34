/* Tables of many columns that fit the terminal; those of few columns and long texts: columns.h. */
#ifndef PIERRE_CTL_GRID_H
#define PIERRE_CTL_GRID_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl.h"

enum { GRID_COLUMNS_MAX = 14 };

struct grid_column {
	const char *title;
	unsigned width, gap; /* in a pipe: the minimum width, and the spaces before it */
	bool right;          /* numbers */
	bool wraps;          /* its long cells continue below their beginning */
	unsigned spare;      /* where lines are short, the highest is left out first; 0: never */
};

struct grid_row {
	char *cells[GRID_COLUMNS_MAX];
	bool bold; /* all but the first cell */
};

/* Rows, collected until grid_print(). Zeroed but for the columns, it is empty. */
struct grid {
	const struct grid_column *columns;
	size_t count; /* of columns */
	struct grid_row *rows;
	size_t length, capacity;
	bool failed; /* out of memory */
};

/* Copies the cells of a row, one for each column. */
void grid_add(struct grid *grid, const char *const *cells, bool bold);
/* Prints the titles and rows, and empties the table. On a terminal a column is as wide as its
 * cells; columns are left out, and then cells wrapped, until a line fits. Elsewhere the widths are
 * those of the columns, and nothing is left out. */
void grid_print(const struct ctl *ctl, struct grid *grid);

#endif
