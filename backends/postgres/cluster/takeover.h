/* What the store does when one primary takes over from another: which server it accepts, and what
 * becomes of the connections to the old one. Thread: the loop. */
#ifndef PIERRE_PG_TAKEOVER_H
#define PIERRE_PG_TAKEOVER_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "guard.h"
#include "hosts.h"

struct postgres_store;

/* Whether the server of a new connection may be used. False: store->gone_back says why not. */
bool takeover_admits(struct postgres_store *store, const PGconn *pq, const struct lineage *lineage);
/* Refuses the calls without a connection, because the only primary at hand lacks answered writes.
 */
void takeover_refuse(struct postgres_store *store);
/* Ends the connections to a primary that a newer one has replaced. */
void takeover_cut(struct postgres_store *store);
/* The hosts that the next connect tries. */
struct target takeover_target(const struct postgres_store *store, uint64_t now);
/* Looks for a newer primary when no connection is answered. */
void takeover_scout(struct postgres_store *store, uint64_t now);

#endif
