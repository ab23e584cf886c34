/* Logs a warning when a key nears its limit of sealed texts. Thread: any. */
#ifndef PIERRE_SEAL_LOG_H
#define PIERRE_SEAL_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "../store.h"

/* Warns once, when the number passes SEAL_WARN. `before`: the last known number; 0 at start. */
void seal_log_warn(const struct store_settings *settings, uint64_t before, uint64_t now);
/* Ends an update that seal_count_wanted began: `stored` is the sum in the database. */
void seal_log_counted(
	const struct store_settings *settings, uint64_t added, uint64_t stored, bool committed);

#endif
