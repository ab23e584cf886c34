/* Which calls may change places, and the order of row locks. */
#ifndef PIERRE_PG_COMMUTE_H
#define PIERRE_PG_COMMUTE_H

#include "../call.h"

/* Calls of one client connection: their order shows. */
bool commute_conflicts(const struct call *a, const struct call *b);
/* Whether it changes one of these tables, or reads one that is written: else it conflicts with
 * none of the calls whose tables these are. */
bool commute_shares_tables(const struct call *call, uint32_t reads, uint32_t writes);
void commute_add_tables(const struct call *call, uint32_t *reads, uint32_t *writes);
/* The same method and keys: any third call compares equally with both. */
bool commute_alike(const struct call *a, const struct call *b);
/* Both lock: < 0 when `a` locks first. */
int commute_compare(const struct call *a, const struct call *b);
enum lock commute_lock(const struct call *call);
/* It locks rows that may be there already. */
bool commute_changes_rows(const struct call *call);

#endif
