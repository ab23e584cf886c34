/* The table of all metrics that metric_text.c writes; its output and the table in docs/observe.md
 * are made from it. Counters and gauges without labels come from METRIC_LIST.
 *
 * prefix: metric_ */
#ifndef PIERRE_METRIC_TABLE_H
#define PIERRE_METRIC_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct metric {
	const char *name, *type, *unit, *help; /* name: NULL where a metric of several members shows
	                                          this one; unit: NULL, or what the name ends with
	                                        */
	const char *group, *member; /* where in daemon.stats its value is; NULL: metric_text.c
	                               prints it in a way of its own */
	double scale;               /* from the member's unit to the metric's */
};

extern const struct metric metric_table[];
extern const size_t metric_count;

const struct metric *metric_named(const char *name);
/* Whether a row shows this member of daemon.stats. */
bool metric_covers(const char *group, const char *member);
void metric_write_markdown(void);

#endif
