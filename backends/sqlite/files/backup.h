/* Copies of the database while it is in use. Thread: the loop's starts, asks and ends; the copy is
 * made by a thread of its own. */
#ifndef PIERRE_SQLITE_BACKUP_H
#define PIERRE_SQLITE_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "../../../protocol/buffer.h"
#include "../../../protocol/error.h"
#include "../../store.h"

struct backup;

/* Begins a copy of `database` at `path`, which appears there only once it is whole, checked and
 * durable. `force`: in place of a file that is there. The log is told how it ended. */
int backup_start(struct backup **ret, const struct store_settings *settings, const char *database,
	const char *path, bool force, uint64_t number, struct err *err);
bool backup_running(const struct backup *backup);
uint64_t backup_number(const struct backup *backup);
/* The members of a JSON object that tell what became of it; NULL: there was none. */
void backup_describe(struct backup *backup, struct buffer *out);
/* Gives up a copy that is under way, waits for its thread, frees. NULL is fine. */
void backup_free(struct backup *backup);

#endif
