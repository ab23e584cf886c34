#include "columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "terminal.h"

enum {
	INDENT = 2,
	GAP = 2,
	NAME_MAX_WIDTH = 32,
	TEXT_MIN = 24, /* narrower texts stand below their name */
	BELOW = 4,     /* at this indentation */
};

static bool columns_grow(struct columns *table)
{
	size_t capacity = table->capacity == 0 ? 16 : table->capacity * 2;
	struct columns_row *rows;

	if (table->count < table->capacity)
		return true;
	rows = reallocarray(table->rows, capacity, sizeof *table->rows);
	if (rows == NULL)
		return false;
	table->rows = rows;
	table->capacity = capacity;
	return true;
}

void columns_add(struct columns *table, const char *name, const char *type, const char *text)
{
	struct columns_row row = {strdup(name), strdup(type != NULL ? type : ""), strdup(text)};

	if (!columns_grow(table))
		table->failed = true;
	if (row.name == NULL || row.type == NULL || row.text == NULL)
		table->failed = true;
	if (table->failed) {
		free(row.name);
		free(row.type);
		free(row.text);
		return;
	}
	table->rows[table->count++] = row;
}

/* The bytes of the text that fit `width` columns and end before a space; at least one word. */
static size_t columns_fitting(const char *text, unsigned width)
{
	size_t fitting = strcspn(text, " "), next;

	while (text[fitting] != '\0') {
		next = fitting + 1 + strcspn(text + fitting + 1, " ");
		if (terminal_part_width(text, next) > width)
			break;
		fitting = next;
	}
	return fitting;
}

void columns_wrap(const struct ctl *ctl, const char *text, unsigned column, unsigned indent)
{
	unsigned width = terminal_line_width(ctl);

	if (width == 0 || width <= indent) {
		(void)fputs(text, stdout);
		return;
	}
	while (*text != '\0') {
		unsigned room = column < width ? width - column : 0;
		size_t length = columns_fitting(text, room);

		if (column > indent && terminal_part_width(text, length) > room) {
			/* Not even a word fits the rest of this line. */
			(void)printf("\n%*s", (int)indent, "");
			column = indent;
			continue;
		}
		(void)fwrite(text, 1, length, stdout);
		text += length + strspn(text + length, " ");
		if (*text != '\0')
			(void)printf("\n%*s", (int)indent, "");
		column = indent;
	}
}

struct columns_widths {
	unsigned name, type, text; /* text: where it begins */
};

static struct columns_widths columns_measure(const struct columns *table, unsigned line)
{
	struct columns_widths widths = {0};
	unsigned type_max = line / 3;

	for (size_t i = 0; i < table->count; i++) {
		unsigned name = terminal_text_width(table->rows[i].name),
			 type = terminal_text_width(table->rows[i].type);

		if (name > widths.name && name <= NAME_MAX_WIDTH)
			widths.name = name;
		if (type > widths.type && type <= type_max)
			widths.type = type;
	}
	widths.text = INDENT + widths.name + GAP + (widths.type > 0 ? widths.type + GAP : 0);
	if (widths.text + TEXT_MIN > line)
		widths.text = BELOW;
	return widths;
}

/* Moves on to a column: on this line, or on the next one when the line has passed it. */
static unsigned columns_reach(unsigned column, unsigned wanted)
{
	if (column + GAP <= wanted || column == wanted) {
		(void)printf("%*s", (int)(wanted - column), "");
		return wanted;
	}
	(void)printf("\n%*s", (int)wanted, "");
	return wanted;
}

static void columns_print_aligned(
	const struct ctl *ctl, const struct columns_row *row, const struct columns_widths *widths)
{
	unsigned column = INDENT + terminal_text_width(row->name);

	(void)printf("  %s%s%s", output_bold(ctl), row->name, output_plain(ctl));
	if (*row->type != '\0') {
		unsigned type = INDENT + widths->name + GAP;

		if (column + GAP <= type)
			column = columns_reach(column, type);
		else
			column += (unsigned)printf("%*s", GAP, "");
		columns_wrap(ctl, row->type, column, column);
		column += terminal_text_width(row->type);
	}
	if (*row->text != '\0') {
		(void)columns_reach(column, widths->text);
		columns_wrap(ctl, row->text, widths->text, widths->text);
	}
	(void)putchar('\n');
}

static void columns_print_plain(
	const struct ctl *ctl, const struct columns_row *row, unsigned name_width)
{
	bool typed = *row->type != '\0';

	(void)printf("  %s%-*s%s %s%s%s\n", output_bold(ctl), (int)name_width, row->name,
		output_plain(ctl), row->type, typed && *row->text != '\0' ? "  " : "", row->text);
}

void columns_print(const struct ctl *ctl, struct columns *table, unsigned name_width)
{
	unsigned line = terminal_line_width(ctl);
	struct columns_widths widths = columns_measure(table, line);

	for (size_t i = 0; i < table->count; i++) {
		struct columns_row *row = &table->rows[i];

		if (line > 0)
			columns_print_aligned(ctl, row, &widths);
		else
			columns_print_plain(ctl, row, name_width);
		free(row->name);
		free(row->type);
		free(row->text);
	}
	if (table->failed)
		(void)output_fail(EX_OSERR, "out of memory");
	free(table->rows);
	*table = (struct columns){0};
}
