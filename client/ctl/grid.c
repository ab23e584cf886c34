#include "grid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "terminal.h"

enum {
	WRAPPED_LEGIBLE =
		32, /* a column that wraps is narrower only when no other can be left out */
	WRAPPED_MIN = 16,
};

static bool grid_grow(struct grid *grid)
{
	size_t capacity = grid->capacity == 0 ? 64 : grid->capacity * 2;
	struct grid_row *rows;

	if (grid->length < grid->capacity)
		return true;
	rows = reallocarray(grid->rows, capacity, sizeof *grid->rows);
	if (rows == NULL)
		return false;
	grid->rows = rows;
	grid->capacity = capacity;
	return true;
}

void grid_add(struct grid *grid, const char *const *cells, bool bold)
{
	struct grid_row *row;

	if (!grid_grow(grid)) {
		grid->failed = true;
		return;
	}
	row = &grid->rows[grid->length++];
	*row = (struct grid_row){.bold = bold};
	for (size_t i = 0; i < grid->count; i++) {
		row->cells[i] = strdup(cells[i]);
		grid->failed |= row->cells[i] == NULL;
	}
}

struct grid_layout {
	unsigned widths[GRID_COLUMNS_MAX];
	bool shown[GRID_COLUMNS_MAX];
	bool wrapped;
};

static unsigned grid_natural_width(const struct grid *grid, size_t column)
{
	unsigned width = terminal_text_width(grid->columns[column].title);

	for (size_t i = 0; i < grid->length; i++) {
		unsigned cell = terminal_text_width(grid->rows[i].cells[column]);

		if (cell > width)
			width = cell;
	}
	return width;
}

static unsigned grid_line_width(const struct grid *grid, const struct grid_layout *layout)
{
	unsigned sum = 0;

	for (size_t i = 0; i < grid->count; i++)
		if (layout->shown[i])
			sum += layout->widths[i] + grid->columns[i].gap;
	return sum;
}

/* Returns false when all that is left is needed. */
static bool grid_leave_out(const struct grid *grid, struct grid_layout *layout)
{
	size_t found = grid->count;
	unsigned spare = 0;

	for (size_t i = 0; i < grid->count; i++)
		if (layout->shown[i] && grid->columns[i].spare > spare) {
			spare = grid->columns[i].spare;
			found = i;
		}
	if (found == grid->count)
		return false;
	layout->shown[found] = false;
	return true;
}

/* Makes the columns that wrap narrower, the widest first, by `excess` together; none gets narrower
 * than `min`. Returns whether that is enough. */
static bool grid_squeeze(
	const struct grid *grid, struct grid_layout *layout, unsigned excess, unsigned min)
{
	for (; excess > 0; excess--) {
		unsigned *widest = NULL;

		for (size_t i = 0; i < grid->count; i++)
			if (layout->shown[i] && grid->columns[i].wraps &&
				layout->widths[i] > (widest != NULL ? *widest : min))
				widest = &layout->widths[i];
		if (widest == NULL)
			return false;
		--*widest;
	}
	return true;
}

static struct grid_layout grid_fit(const struct grid *grid, unsigned line)
{
	struct grid_layout layout = {.wrapped = true};
	unsigned width;

	for (size_t i = 0; i < grid->count; i++) {
		layout.widths[i] = grid_natural_width(grid, i);
		layout.shown[i] = layout.widths[i] > 0;
	}
	while ((width = grid_line_width(grid, &layout)) > line) {
		struct grid_layout squeezed = layout;

		if (grid_squeeze(grid, &squeezed, width - line, WRAPPED_LEGIBLE))
			return squeezed;
		if (!grid_leave_out(grid, &layout)) {
			(void)grid_squeeze(grid, &layout, width - line, WRAPPED_MIN);
			break;
		}
	}
	return layout;
}

/* The bytes of the text that take at most `width` columns; to the end of a word, unless that leaves
 * half of the columns empty. */
static size_t grid_part(const char *text, unsigned width)
{
	size_t length = 0, words = 0;
	unsigned taken = 0, in_words = 0;

	for (; text[length] != '\0'; length++) {
		taken += ((unsigned char)text[length] & 0xC0) != 0x80;
		if (text[length] == ' ' && taken <= width + 1) {
			words = length;
			in_words = taken - 1;
		}
		if (taken > width)
			return in_words > width / 2 ? words : length;
	}
	return length;
}

/* Prints one line of a row, and removes it from `cells`. Returns whether more are left. */
static bool grid_print_line(const struct grid *grid, const struct grid_layout *layout,
	const char **cells, const char *emphasis, const char *plain)
{
	unsigned pending = 0; /* spaces before the next text: none end a line */
	bool more = false;

	for (size_t i = 0; i < grid->count; i++) {
		const struct grid_column *column = &grid->columns[i];
		unsigned width = layout->widths[i], taken;
		size_t length;

		if (!layout->shown[i])
			continue;
		length = layout->wrapped && column->wraps ? grid_part(cells[i], width)
							  : strlen(cells[i]);
		taken = terminal_part_width(cells[i], length);
		pending += i > 0 ? column->gap : 0;
		if (column->right && taken < width)
			pending += width - taken;
		if (length > 0) {
			(void)printf("%*s%s%.*s%s", (int)pending, "", i > 0 ? emphasis : "",
				(int)length, cells[i], i > 0 ? plain : "");
			pending = 0;
		}
		if (!column->right && taken < width)
			pending += width - taken;
		cells[i] += length;
		cells[i] += layout->wrapped ? strspn(cells[i], " ") : 0;
		more |= *cells[i] != '\0';
	}
	(void)putchar('\n');
	return more;
}

static void grid_print_titles(
	const struct ctl *ctl, const struct grid *grid, const struct grid_layout *layout)
{
	const char *cells[GRID_COLUMNS_MAX];

	for (size_t i = 0; i < grid->count; i++)
		cells[i] = grid->columns[i].title;
	(void)fputs(output_bold(ctl), stdout);
	while (grid_print_line(grid, layout, cells, "", ""))
		continue;
	(void)fputs(output_plain(ctl), stdout);
}

static void grid_print_rows(
	const struct ctl *ctl, const struct grid *grid, const struct grid_layout *layout)
{
	for (size_t i = 0; i < grid->length; i++) {
		bool bold = grid->rows[i].bold;
		const char *cells[GRID_COLUMNS_MAX];

		memcpy(cells, grid->rows[i].cells, sizeof cells);
		while (grid_print_line(grid, layout, cells, bold ? output_bold(ctl) : "",
			bold ? output_plain(ctl) : ""))
			continue;
	}
}

void grid_print(const struct ctl *ctl, struct grid *grid)
{
	unsigned line = terminal_line_width(ctl);
	struct grid_layout layout = {0};

	if (grid->failed) {
		(void)output_fail(EX_OSERR, "out of memory");
	} else {
		if (line > 0)
			layout = grid_fit(grid, line);
		for (size_t i = 0; line == 0 && i < grid->count; i++) {
			layout.widths[i] = grid->columns[i].width;
			layout.shown[i] = true;
		}
		grid_print_titles(ctl, grid, &layout);
		grid_print_rows(ctl, grid, &layout);
	}
	for (size_t i = 0; i < grid->length; i++)
		for (size_t column = 0; column < grid->count; column++)
			free(grid->rows[i].cells[column]);
	free(grid->rows);
	grid->rows = NULL;
	grid->length = grid->capacity = 0;
}
