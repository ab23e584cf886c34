/* `.env` files: KEY=VALUE lines, `#` comments, an optional `export` before the key; 'single quotes'
 * literal, "double quotes" with \n \t \" \\ \$; nothing is interpolated. Thread: no state. */
#ifndef PIERRE_ENVFILE_H
#define PIERRE_ENVFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "../../protocol/error.h"

struct envfile {
	char *text; /* keys and values point into it */
	size_t size;
	struct envfile_entry {
		const char *key, *value;
	} * entries;
	size_t count;
	bool readable_by_others; /* the file's mode lets group or others read it */
};

/* Reads a file; a missing one gives 1. exit_code 78 on failure. */
int envfile_read(struct envfile *file, const char *path, struct err *err);
/* Takes `size` bytes at text (malloc'd, one byte of room behind them), which become the struct's.
 * name: for messages. */
int envfile_parse(struct envfile *file, char *text, size_t size, const char *name, struct err *err);
const char *envfile_get(
	const struct envfile *file, const char *key); /* the last one of that name, or NULL */
void envfile_free(struct envfile *file);              /* wipes; a zeroed struct is fine */

#endif
