/* Which of the calls that wait on a lane make its next group.
 *
 * A group is one transaction, which keeps the locks of the rows that it changes until its commit. Two groups that change the same rows in
 * another order would wait for one another until the server ends one of them, after a second. So of all lanes one at a time changes more
 * than one row; the others send such calls one in a group, which holds nothing while it waits. Calls that change rows are brought to one
 * lane for that (pool_choose), where all that wait share one commit. Rows that are only added, and what is only read, lock nobody out. */
#include <string.h>

#include "../execute.h"
#include "postgres.h"

enum { GROUP_BYTES = 1024 * 1024 };

void gather_learn(bool *locking)
{
	for (size_t i = 0; i < catalog_method_count; i++) {
		const char *sql = catalog_methods[i].statements[BACKEND_POSTGRES].sql;

		locking[catalog_methods[i].index] = sql != NULL && (strstr(sql, "UPDATE") != NULL || strstr(sql, "DELETE") != NULL);
	}
}

bool gather_locks(const struct postgres_store *store, const struct call *call)
{
	return call->method != NULL && store->locking[call->method->index];
}

/* A lane that is slow may itself wait for another program's lock: the rest need not wait with it. */
static bool may_lock_many(const struct postgres_store *store, const struct lane *lane, uint64_t now)
{
	for (unsigned i = 0; i < store->lane_count; i++) {
		const struct lane *other = &store->lanes[i];

		if (other != lane && other->state == LANE_BUSY && other->locking > 1 && !pool_slow(other, now))
			return false;
	}
	return true;
}

static void expire(struct postgres_store *store, struct call *call)
{
	execute_fail(call, ERR_TIMEOUT, "the call's time ran out before it could be done");
	call->err.outcome = OUTCOME_NONE;
	store->timeouts++;
	postgres_finish(store, call);
}

static void take(struct postgres_store *store, struct lane *lane, struct call *call, uint64_t now)
{
	if (call->attempts == 0 && call->submitted != 0 && call->submitted < now) {
		store->waits++;
		store->wait_ns += now - call->submitted;
	}
	list_append(&lane->group, &call->link);
	lane->group_count++;
	lane->locking += gather_locks(store, call);
	lane->group_bytes += call->arena.total;
	lane->large += call->order != NULL && call->order->large;
}

void lane_gather(struct postgres_store *store, struct lane *lane)
{
	unsigned limit = lane->group_limit < store->settings.batch ? lane->group_limit : store->settings.batch;
	uint64_t now = clock_ns();
	bool may_lock = may_lock_many(store, lane, now);

	if (limit < 1)
		limit = 1;
	if (limit > GROUP_MAX)
		limit = GROUP_MAX;
	while (!list_empty(&lane->waiting) && lane->group_count < limit && lane->group_bytes < GROUP_BYTES) {
		struct call *call = call_of(list_first(&lane->waiting));
		bool alone = call->route == ROUTE_ALONE;

		if ((alone && lane->group_count > 0) || (!may_lock && lane->locking > 0 && gather_locks(store, call)))
			break;
		list_remove(&call->link);
		lane->waiting_count--;
		if (call->deadline != 0 && call->deadline <= now) {
			expire(store, call);
			continue;
		}
		if (!execute_admit(call)) {
			postgres_finish(store, call);
			continue;
		}
		take(store, lane, call, now);
		if (alone)
			break;
	}
}
