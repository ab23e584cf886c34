#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "../../transaction.h"
#include "../pg_store.h"
#include "split.h"

static unsigned take_lowest(uint32_t *bits)
{
	unsigned lowest = (unsigned)__builtin_ctz(*bits);

	*bits &= *bits - 1;
	return lowest;
}

static uint64_t later(uint64_t left, uint64_t right)
{
	return left > right ? left : right;
}

struct history *history_of(struct split *split, const struct call *call)
{
	struct history *history;

	if (call->order == NULL || call->order->history != NULL)
		return call->order != NULL ? call->order->history : NULL;
	history = calloc(1, sizeof *history);
	if (history == NULL)
		return NULL;
	order_init(&history->order);
	history->order.client = call->order;
	history->split = split;
	history->server = split->clients++;
	list_init(&history->held);
	list_init(&history->link);
	call->order->history = history;
	return history;
}

static uint32_t tables_of(const struct call *call)
{
	const struct statement *statement = &call->method->statements[BACKEND_POSTGRES];

	return statement->reads | statement->writes;
}

uint32_t history_tables(const struct call *call)
{
	uint32_t tables = tables_of(call);

	for (unsigned i = 0; transaction_is(call) && i < call->member_count; i++)
		tables |= tables_of(&call->members[i]);
	return tables;
}

void history_enter(struct table_calls *calls, uint32_t tables)
{
	calls->tables |= tables;
	while (tables != 0)
		calls->count[take_lowest(&tables)]++;
}

void history_leave(struct table_calls *calls, uint32_t tables)
{
	while (tables != 0) {
		unsigned table = take_lowest(&tables);

		if (--calls->count[table] == 0)
			calls->tables &= ~(UINT32_C(1) << table);
	}
}

void history_answered(const struct call *call)
{
	struct history *history = call->order->history;
	uint32_t tables = history_tables(call);

	history_leave(&history->primary, tables);
	if (tables != 0 && call->position == 0)
		history->split->sampler.wanted = true;
	while (tables != 0) {
		unsigned table = take_lowest(&tables);

		if (call->position == 0)
			history->sample[table] = samples_next(&history->split->samples);
		else
			history->log[table] = later(history->log[table], call->position);
	}
}

void history_shown(struct history *history, uint32_t tables, uint64_t instance, uint64_t log,
	const struct snapshot *snapshot)
{
	history->instance = instance;
	history->shown_log = later(history->shown_log, log);
	history->shown |= tables;
	history->snapshot.xmin = later(history->snapshot.xmin, snapshot->xmin);
	history->snapshot.xmax = later(history->snapshot.xmax, snapshot->xmax);
}

bool history_position(const struct history *history, uint32_t tables, uint64_t *log)
{
	const struct sample *sample;
	uint64_t number = 0;

	while (tables != 0) {
		unsigned table = take_lowest(&tables);

		number = later(number, history->sample[table]);
		*log = later(*log, history->log[table]);
	}
	if (number == 0)
		return true;
	sample = samples_covering(&history->split->samples, number);
	if (sample == NULL)
		return false;
	*log = later(*log, sample->log);
	return true;
}

/* A commit may be replayed on a standby before the primary shows it: the primary waits for other
 * standbys, or its process has not been scheduled. What a standby has shown belongs to transactions
 * below its xmax. They have ended on the primary when all that run there are newer; the oldest one
 * may run on both. */
bool history_caught_up(struct history *history, uint32_t tables, const struct snapshot *now)
{
	const struct snapshot *then = &history->snapshot;

	if ((history->shown & tables) == 0)
		return true;
	if (now->xmin < then->xmax &&
		(now->xmin != then->xmin || (now->next != 0 ? now->next : now->xmax) < then->xmax))
		return false;
	history->shown = 0;
	return true;
}

void history_fall(struct history *history, uint32_t tables)
{
	history->fallen |= tables;
	history->fallen_to = history->split->readers->arrivals;
	history->split->fallen = true;
}

bool history_fell_before(const struct call *call)
{
	const struct standby_read *read = call->standby;
	const struct history *history = read->order->history;

	return (history->fallen & read->tables) != 0 && call->number <= history->fallen_to;
}

void history_hold(struct history *history, struct call *call, bool first)
{
	struct list *next = first ? history->held.next : &history->held;

	for (unsigned i = 0; first && i < history->held_first; i++)
		next = next->next;
	history->held_first += first;
	list_append(next, &call->link);
}
