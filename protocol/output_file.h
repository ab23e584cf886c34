/* Files written under a name from the user: which may be replaced, and which must not. Thread: no
 * state. */
#ifndef PIERRE_OUTPUT_FILE_H
#define PIERRE_OUTPUT_FILE_H

#include <stdbool.h>
#include <stddef.h>

enum output_file_kind {
	OUTPUT_FILE_TEXT,     /* never replaces a database */
	OUTPUT_FILE_DATABASE, /* may replace a database that is not in use */
};

/* Whether a new file may have this name: nothing exists there, or a regular file that belongs to no
 * database in use. NULL: yes. Otherwise the reason, which follows "PATH " in a message. Called
 * before the work, and again before the rename. */
const char *output_file_objection(const char *path, enum output_file_kind kind);
/* The suffixes of the files that belong to a SQLite database; ends with NULL. */
extern const char *const output_file_beside[];

#endif
