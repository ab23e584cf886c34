/* Files and numbers that a command line names. */
#ifndef PIERRE_CTL_TEXT_H
#define PIERRE_CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole file (`-`: stdin) with a NUL behind, to be freed; NULL after reporting why. */
char *text_of_file(const char *path, size_t *length);
/* Whole decimal number within the range; false when it is none. */
bool text_to_number(const char *text, uint64_t min, uint64_t max, uint64_t *out);

#endif
