#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool terminal_moves_cursor(void)
{
	const char *term = getenv("TERM");

	return term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
}

bool terminal_shows_colours(void)
{
	const char *no_color = getenv("NO_COLOR");

	return (no_color == NULL || *no_color == '\0') && terminal_moves_cursor();
}

void terminal_size(unsigned *width, unsigned *height)
{
	struct winsize size;

	*width = 80;
	*height = 24;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
		*width = size.ws_col;
		*height = size.ws_row;
	}
}

unsigned terminal_line_width(const struct ctl *ctl)
{
	unsigned width, height;

	if (!ctl->terminal)
		return 0;
	terminal_size(&width, &height);
	return width;
}

unsigned terminal_part_width(const char *text, size_t length)
{
	unsigned width = 0;

	for (size_t i = 0; i < length; i++) /* continuation bytes take no column */
		width += ((unsigned char)text[i] & 0xC0) != 0x80;
	return width;
}

unsigned terminal_text_width(const char *text)
{
	return terminal_part_width(text, strlen(text));
}
