/* Names of files and folders. Thread: no state. */
#ifndef PIERRE_SQLITE_PATH_H
#define PIERRE_SQLITE_PATH_H

#include <stdbool.h>

#include "../../../protocol/error.h"

/* The real path of a file that need not exist; the caller frees it. NULL: errno is set. */
char *path_real(const char *path);
/* PATH with `end` appended; the caller frees it. NULL: out of memory. */
char *path_beside(const char *path, const char *end);
/* The folder of a file; the caller frees it. NULL: out of memory. */
char *path_folder(const char *path);
/* Gives a file that root has created to the owner of its folder, who is to use it. */
int path_give_to_owner(int fd, const char *path, struct err *err);
/* Makes a change of the folder's entries durable. */
int path_sync_folder(const char *path, struct err *err);
/* Whether a program has the file open through SQLite. */
bool path_in_use(int fd);

#endif
