/* Which of the calls that wait on a lane make its next group, and the order in which the group runs.
 *
 * A group is one transaction, which keeps the locks of the rows that it changes until its commit. Two groups that lock the
 * same rows in different orders would wait for one another until the server ends one of them, after a second. Several
 * daemons share a database, so every group takes its locks in the same order: by table, then by key (commute.c).
 *
 *     calls that wait for nobody | calls that lock, sorted | calls that must follow one of those
 *
 * Calls of one client connection change places only where nobody can tell. Where that order and the order of locks
 * contradict each other, the call and all behind it on its connection wait for the next group. */
#include <stdlib.h>

#include "../execute.h"
#include "postgres.h"

enum place { PLACE_BEFORE, PLACE_LOCKS, PLACE_BEHIND, PLACE_NEXT_GROUP };
enum { GROUP_BYTES = 1024 * 1024 };  /* of parameters: libpq never returns the memory of its buffers */
enum { ORDERED_MAX = 128 };  /* calls of one connection that lock, or follow one that does: each is compared with all */

/* The group that is being made. */
struct gathering {
	struct lane *lane;
	struct call **locking;   /* room of the lane's merged calls, which is free until the group is sent */
	unsigned locking_count;
	bool many;               /* one of them locks many rows: it is the only one */
	bool single;             /* no more than one */
	struct list behind, ended;  /* ended: without being sent */
};

static void expire(struct postgres_store *store, struct call *call)
{
	execute_fail(call, ERR_TIMEOUT, "the call's time ran out before it could be done");
	call->err.outcome = OUTCOME_NONE;
	store->timeouts++;
	postgres_finish(store, call);
}

static bool lock_fits(const struct gathering *gathering, enum lock lock)
{
	if (gathering->many || (gathering->single && gathering->locking_count > 0))
		return false;
	return lock != LOCK_MANY || gathering->locking_count == 0;
}

/* Held against what its connection has in the group already, of which only the part from the locks on matters. */
static enum place place_of(const struct gathering *gathering, const struct call *call, const struct order *order)
{
	enum lock lock = commute_lock(call);
	enum place place = lock != LOCK_NONE ? PLACE_LOCKS : PLACE_BEFORE;

	if (lock != LOCK_NONE && !lock_fits(gathering, lock))
		return PLACE_NEXT_GROUP;
	if (order == NULL || order->ordered == NULL)
		return place;
	if (order->ordered_count >= ORDERED_MAX)
		return PLACE_NEXT_GROUP;
	for (const struct call *before = order->ordered; before != NULL; before = before->before) {
		if (!commute_conflicts(before, call))
			continue;
		if (lock == LOCK_NONE)
			return PLACE_BEHIND;
		if (before->place == PLACE_BEHIND || commute_compare(before, call) > 0)
			return PLACE_NEXT_GROUP;
	}
	return place;
}

static void take(struct postgres_store *store, struct gathering *gathering, struct call *call, enum place place, uint64_t now)
{
	struct order *order = call->order;

	if (call->attempts == 0 && call->submitted != 0 && call->submitted < now) {
		store->waits++;
		store->wait_ns += now - call->submitted;
	}
	gathering->lane->group_count++;
	gathering->lane->group_bytes += call->arena.total;
	gathering->lane->large += order != NULL && order->large;
	call->place = (uint8_t)place;
	if (place == PLACE_BEFORE) {
		list_append(&gathering->lane->group, &call->link);
		return;
	}
	if (order != NULL) {
		call->before = order->ordered;
		order->ordered = call;
		order->ordered_count++;
	}
	if (place == PLACE_BEHIND) {
		list_append(&gathering->behind, &call->link);
		return;
	}
	gathering->many = commute_lock(call) == LOCK_MANY;
	gathering->locking[gathering->locking_count++] = call;
	gathering->lane->locking += commute_changes_rows(call);
}

/* Forgets what the connection had in an earlier group. */
static void begin_order(struct postgres_store *store, struct order *order)
{
	if (order == NULL || order->gathered == store->gathered)
		return;
	order->gathered = store->gathered;
	order->ordered = NULL;
	order->ordered_count = 0;
	order->held_back = false;
}

static int compare_locks(const void *left, const void *right)
{
	const struct call *a = *(struct call *const *)left, *b = *(struct call *const *)right;
	int difference = commute_compare(a, b);

	return difference != 0 ? difference : (a->number > b->number) - (a->number < b->number);
}

static void join(struct gathering *gathering)
{
	struct list *group = &gathering->lane->group;

	if (gathering->locking_count > 1)
		qsort(gathering->locking, gathering->locking_count, sizeof(struct call *), compare_locks);
	for (unsigned i = 0; i < gathering->locking_count; i++)
		list_append(group, &gathering->locking[i]->link);
	list_splice(group, &gathering->behind);
}

/* False: the group is at its end. */
static bool consider(struct postgres_store *store, struct gathering *gathering, struct call *call, uint64_t now)
{
	struct lane *lane = gathering->lane;
	struct order *order = call->order;
	bool alone = call->route == ROUTE_ALONE;
	enum place place;

	begin_order(store, order);
	if (order != NULL && order->held_back)
		return true;
	if (alone && lane->group_count > 0)
		return false;
	place = place_of(gathering, call, order);
	if (place == PLACE_NEXT_GROUP) {
		if (order == NULL)
			return false;
		order->held_back = true;
		return true;
	}
	list_remove(&call->link);
	lane->waiting_count--;
	if ((call->deadline != 0 && call->deadline <= now) || !execute_admit(call)) {
		list_append(&gathering->ended, &call->link);
		return true;
	}
	take(store, gathering, call, place, now);
	return !alone;
}

void lane_gather(struct postgres_store *store, struct lane *lane)
{
	unsigned limit = lane->group_limit < store->settings.batch ? lane->group_limit : store->settings.batch, seen = 0;
	uint64_t now = clock_ns();
	struct gathering gathering = {.lane = lane, .locking = lane->merged, .single = now < store->careful_until};

	if (limit < 1)
		limit = 1;
	if (limit > GROUP_MAX)
		limit = GROUP_MAX;
	list_init(&gathering.behind);
	list_init(&gathering.ended);
	store->gathered++;
	list_for_each_safe(node, &lane->waiting) {
		if (lane->group_count >= limit || lane->group_bytes >= GROUP_BYTES || ++seen > 2 * GROUP_MAX || !consider(store, &gathering, call_of(node), now))
			break;
	}
	join(&gathering);
	while (!list_empty(&gathering.ended)) {
		struct call *call = call_of(list_first(&gathering.ended));

		list_remove(&call->link);
		if (call->err.kind != ERR_NONE || call->dropped)
			postgres_finish(store, call);
		else
			expire(store, call);
	}
}

static int compare_arrival(const void *left, const void *right)
{
	const struct call *a = *(struct call *const *)left, *b = *(struct call *const *)right;

	return (a->number > b->number) - (a->number < b->number);
}

void gather_undo(struct lane *lane, struct list *calls)
{
	unsigned count = 0;

	while (!list_empty(calls)) {
		lane->merged[count++] = call_of(list_first(calls));
		list_remove(list_first(calls));
	}
	if (count > 1)
		qsort(lane->merged, count, sizeof(struct call *), compare_arrival);
	for (unsigned i = 0; i < count; i++)
		list_append(calls, &lane->merged[i]->link);
}
