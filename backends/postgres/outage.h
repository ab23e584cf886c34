/* Connection failures of the store: the last error, and the delay before the next attempt. */
#ifndef PIERRE_PG_OUTAGE_H
#define PIERRE_PG_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/error.h"

struct postgres_store;

/* A connection has opened. */
bool outage_connected(const struct postgres_store *store);
void outage_note(struct postgres_store *store, const char *text);
/* Why no connection is available, for a call's error and for daemon.health. */
void outage_cause(const struct postgres_store *store, char out[ERR_MESSAGE_MAX]);
/* 50 ms, growing by a quarter each to 2 s, with up to half of it random; in ns. failures: 1 or
 * more. */
uint64_t outage_backoff(unsigned failures);
/* The pooler has no server but still accepts clients. Calls wait before the next attempt, as after
 * a failed connect. */
void outage_unserved(struct postgres_store *store);

#endif
