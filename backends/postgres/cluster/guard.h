/* The timeline guard: whether a primary has everything that was written to the one before it.
 *
 * A promotion begins a new timeline, whose number is higher. A primary on an older one than has
 * been seen lacks what was written since, as does one of another database cluster. Neither may be
 * written to for the rest of the process's life. */
#ifndef PIERRE_PG_GUARD_H
#define PIERRE_PG_GUARD_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "../../../protocol/error.h"

struct lineage {
	uint64_t system;   /* the cluster's system identifier; 0: unknown */
	uint32_t timeline; /* of a primary; 0: a standby, or unknown */
	bool standby;
	uint64_t instance; /* identifies the server's process; 0: unknown */
};

/* Asks a server; blocking, any thread. False: no answer in time, and the connection is unusable.
 * What the server does not tell stays unknown. */
bool guard_ask(PGconn *pq, uint64_t timeout_ms, struct lineage *ret);
/* Whether a server may follow the newest primary seen. False: `why` says what is wrong. */
bool guard_follows(
	const struct lineage *newest, const struct lineage *now, char why[ERR_MESSAGE_MAX]);
/* Remembers a server that follows. Returns whether its timeline is newer. */
bool guard_advance(struct lineage *newest, const struct lineage *now);

#endif
