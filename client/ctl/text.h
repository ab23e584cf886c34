/* Files and numbers given on the command line. */
#ifndef PIERRE_CTL_TEXT_H
#define PIERRE_CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From now on stdin holds the commands of a session, and text_of_file("-") reports that. */
void text_reserve_stdin(void);
/* Reads a whole file (`-`: stdin) and appends a NUL. The caller frees it; NULL after reporting an
 * error. */
char *text_of_file(const char *path, size_t *length);
/* Parses a decimal integer within the range; false when it is not one. */
bool text_to_number(const char *text, uint64_t min, uint64_t max, uint64_t *out);

#endif
