/* Counts of usage by day, which follow from those by hour: see migration 0012.
 * Thread: the writer's. */
#ifndef PIERRE_SQLITE_USAGE_DAYS_H
#define PIERRE_SQLITE_USAGE_DAYS_H

#include <stdbool.h>
#include <stdint.h>

struct session;

/* The statements of one log. */
struct usage_days {
	const char *begin;   /* a sweep up to day ?1, unless one is under way */
	const char *next;    /* the next day of its parent, or NULL; no row: none is under way */
	const char *sums[2]; /* store day ?1 of its parent; [1]: the lists, or NULL */
	const char *move;    /* behind day ?1 */
	const char *parent;  /* to the next parent */
	const char *end;     /* when no parent is left */
	const char *late;    /* as HOURS in rollup.c, where the hour is summed already */
};

extern const struct usage_days usage_days_of_keys, usage_days_of_agents;

/* SQL: whether an hour of a parent is summed. s: the log's row of usage_rolled. */
#define USAGE_DAY_SUMMED(parent, hour)                                                             \
	"(" hour " < s.days_to OR (" hour " < s.days_next AND (" parent                            \
	" < s.days_parent OR (" parent " = s.days_parent AND " hour " < s.days_at))))"

/* The first hour of the oldest day that is not to be summed yet. */
int64_t usage_days_end(void);
/* One step of the sweep up to `end`. more: set when another step is left. A result code. */
int usage_days_sum(struct session *session, const struct usage_days *days, int64_t end, bool *more);

#endif
