/* Detects locations that are unsafe for SQLite: a network file system, a file mounted alone. */
#ifndef PIERRE_SQLITE_SURROUNDINGS_H
#define PIERRE_SQLITE_SURROUNDINGS_H

#include <stdbool.h>
#include <stddef.h>

/* Writes a warning for the owner to `out`; false if there is none. */
bool surroundings_warning(const char *path, char *out, size_t size);

#endif
