/* What the reads of one client connection must see: positions of the log for each table, and what
 * standbys have shown. Thread: the loop. */
#ifndef PIERRE_PG_HISTORY_H
#define PIERRE_PG_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "../../call.h"

struct split;

enum { HISTORY_TABLES = 32 }; /* bits of statement->reads and statement->writes */

/* Unfinished calls, for each table that they use. */
struct table_calls {
	uint16_t count[HISTORY_TABLES];
	uint32_t tables; /* those whose count is not 0, as bits */
};

/* Which transactions a server shows. */
struct snapshot {
	uint64_t xmin; /* the oldest that runs; xmax if none does */
	uint64_t next; /* the second oldest that runs; 0: none. Of the primary only */
	uint64_t xmax; /* all from here on have not begun */
};

struct history {
	struct order order; /* of its calls on standbys */
	struct split *split;
	struct table_calls primary, standby;
	/* For each table, the number of the sample that covers its calls on the primary, and a
	 * position that is known already. */
	uint64_t sample[HISTORY_TABLES], log[HISTORY_TABLES];
	/* The standby that it has read last: its process (0: unknown), and a position that covers
	 * what it has shown. */
	uint64_t instance, shown_log;
	uint32_t shown;           /* tables read on standbys that the primary may show an older
	                             state of */
	struct snapshot snapshot; /* of these reads: the primary must show all of it */
	unsigned server;          /* its standby, by number; may change at any time */
	/* Of the unfinished reads on standbys: the newest position that one must see. Those of
	 * these tables up to that number follow one that went to the primary. */
	uint64_t asked_log, fallen_to;
	uint32_t fallen;
	unsigned held_first; /* calls in front of the list, which standbys have failed to answer */
	struct list held;    /* calls that wait before they go to the primary */
	uint64_t held_since;
	struct list link; /* in split->holding while some are held */
};

/* The history of the call's client, made when it is first needed. NULL: out of memory, or the call
 * has no client. */
struct history *history_of(struct split *split, const struct call *call);
/* All tables that the call reads or changes, as bits. */
uint32_t history_tables(const struct call *call);
void history_enter(struct table_calls *calls, uint32_t tables);
void history_leave(struct table_calls *calls, uint32_t tables);
/* The primary has answered a call: reads of its tables must see what it showed or stored. */
void history_answered(const struct call *call);
/* A standby has shown tables. */
void history_shown(struct history *history, uint32_t tables, uint64_t instance, uint64_t log,
	const struct snapshot *snapshot);
/* The position that a read of these tables must see. False: it is not known yet. */
bool history_position(const struct history *history, uint32_t tables, uint64_t *log);
/* Whether the primary shows all that standbys have shown of these tables. now: its snapshot. */
bool history_caught_up(struct history *history, uint32_t tables, const struct snapshot *now);
/* A read of tables goes from a standby to the primary, which may show a newer state. */
void history_fall(struct history *history, uint32_t tables);
/* Whether an earlier read of the client's, of the same tables, has fallen: the read on a standby
 * must follow it. */
bool history_fell_before(const struct call *call);
/* Adds a call to those that are held. first: it is older than all but others of this kind. */
void history_hold(struct history *history, struct call *call, bool first);

#endif
