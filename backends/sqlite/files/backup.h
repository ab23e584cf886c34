/* Copies of the database while it is in use. Thread: the loop's starts, polls and ends a copy; a
 * separate thread makes it. */
#ifndef PIERRE_SQLITE_BACKUP_H
#define PIERRE_SQLITE_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "../../../protocol/buffer.h"
#include "../../../protocol/error.h"
#include "../../store.h"

struct backup;

/* Starts a copy of `database` to `path`, which appears only when it is complete, checked and
 * durable. `force`: replace an existing file. The outcome is logged. */
int backup_start(struct backup **ret, const struct store_settings *settings, const char *database,
	const char *path, bool force, uint64_t number, struct err *err);
bool backup_running(const struct backup *backup);
uint64_t backup_number(const struct backup *backup);
/* Appends the members of a JSON object with the outcome; NULL: no copy was made. */
void backup_describe(struct backup *backup, struct buffer *out);
/* Cancels a running copy, waits for its thread and frees it. NULL is allowed. */
void backup_free(struct backup *backup);

#endif
