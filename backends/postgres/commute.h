/* Which calls may be reordered, and the order of row locks. */
#ifndef PIERRE_PG_COMMUTE_H
#define PIERRE_PG_COMMUTE_H

#include "../call.h"

/* For calls of one client connection, whose order is observable. */
bool commute_conflicts(const struct call *a, const struct call *b);
/* Whether it writes one of these tables, or reads one that is written. Otherwise it conflicts with
 * no call that uses these tables. */
bool commute_shares_tables(const struct call *call, uint32_t reads, uint32_t writes);
void commute_add_tables(const struct call *call, uint32_t *reads, uint32_t *writes);
/* The same method and keys: both compare equally with any third call. */
bool commute_alike(const struct call *a, const struct call *b);
/* For two calls that lock: < 0 when `a` locks first. */
int commute_compare(const struct call *a, const struct call *b);
enum lock commute_lock(const struct call *call);
/* Whether it locks rows that may already exist. */
bool commute_changes_rows(const struct call *call);

#endif
