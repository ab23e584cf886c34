/* Replaces a database by a copy while its daemon is down. */
#ifndef PIERRE_SQLITE_RESTORE_H
#define PIERRE_SQLITE_RESTORE_H

#include <stdbool.h>

#include "../../../protocol/error.h"

/* Finishes an interrupted restore whose new file is complete and checked. It waits under this name,
 * and must be in place before anything else starts. Call before opening the database. exit_code 75
 * while the restore runs. */
int restore_resume(const char *path, struct err *err);
/* Whether one exists. */
bool restore_pending(const char *path);

#endif
