/* What the store knows of failures of the server: the last error, and how long to wait before the
 * next try. */
#ifndef PIERRE_PG_OUTAGE_H
#define PIERRE_PG_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/error.h"

struct postgres_store;

/* One connection at least is open. */
bool outage_connected(const struct postgres_store *store);
void outage_note(struct postgres_store *store, const char *text);
/* Why there is no connection for a call, for its error and for daemon.health. */
void outage_cause(const struct postgres_store *store, char out[ERR_MESSAGE_MAX]);
/* 50 ms, doubling to 2 s, of which up to a half is left to chance; in ns. failures: 1 or more. */
uint64_t outage_backoff(unsigned failures);
/* A pooler has no server. It accepts clients all the same: calls wait before it is asked again, as
 * after a connect that failed. */
void outage_unserved(struct postgres_store *store);

#endif
