/* What the terminal on stdout shows: its size, and whether it has colours. */
#ifndef PIERRE_CTL_TERMINAL_H
#define PIERRE_CTL_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl.h"

/* False when $NO_COLOR is set and not empty, and for terminals without escape sequences. */
bool terminal_shows_colours(void);
/* $TERM names a terminal whose cursor moves. */
bool terminal_moves_cursor(void);
/* 80 columns and 24 lines when the size is unknown. */
void terminal_size(unsigned *width, unsigned *height);
/* The columns that a line of stdout may take; 0: unlimited, since stdout is not a terminal. */
unsigned terminal_line_width(const struct ctl *ctl);
/* The columns that a UTF-8 text takes; each character counts as one. */
unsigned terminal_text_width(const char *text);
/* The same for the first `length` bytes. */
unsigned terminal_part_width(const char *text, size_t length);

#endif
