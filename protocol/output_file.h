/* Files that are written by a name that somebody gave: what may be replaced, and what must not.
 * Thread: no state. */
#ifndef PIERRE_OUTPUT_FILE_H
#define PIERRE_OUTPUT_FILE_H

#include <stdbool.h>
#include <stddef.h>

enum output_file_kind {
	OUTPUT_FILE_TEXT,     /* never replaces a database */
	OUTPUT_FILE_DATABASE, /* may replace a database that nobody uses */
};

/* Whether a new file may take this name: nothing is there, or a regular file that belongs to no
 * database in use. NULL: yes. Else the reason, behind "PATH " in a message. Asked before the work,
 * and again before the rename. */
const char *output_file_objection(const char *path, enum output_file_kind kind);
/* The ends of the names that belong to a SQLite database beside the file itself; ends with NULL. */
extern const char *const output_file_beside[];

#endif
