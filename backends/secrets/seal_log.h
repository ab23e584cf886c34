/* The warning in the log that a key has sealed much. Thread: any. */
#ifndef PIERRE_SEAL_LOG_H
#define PIERRE_SEAL_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "../store.h"

/* Warns once, when the number passes SEAL_WARN. `before`: the last one that was known; 0 at
 * start. */
void seal_log_warn(const struct store_settings *settings, uint64_t before, uint64_t now);
/* What became of a count that seal_count_wanted has given: `stored` is the sum in the database. */
void seal_log_counted(
	const struct store_settings *settings, uint64_t added, uint64_t stored, bool committed);

#endif
