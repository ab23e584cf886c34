/* What becomes of a group when it has ended: answered, or run again without the call that spoilt it. */
#include <string.h>

#include "../execute.h"
#include "postgres.h"

static bool writes(const struct call *call)
{
	return call->method != NULL && call->method->write;
}

void postgres_finish(struct postgres_store *store, struct call *call)
{
	(void)store;
	if (call->order != NULL) {
		call->order->reads--; /* all unfinished calls of the connection; before done, which may end it */
		if (!writes(call))
			call->order->large = call->answer.length > LARGE_ANSWER;
	}
	call->done(call);
}

static void finish_all(struct postgres_store *store, struct list *calls)
{
	while (!list_empty(calls)) {
		struct call *call = call_of(list_first(calls));

		list_remove(&call->link);
		postgres_finish(store, call);
	}
}

static void restart(struct postgres_store *store, struct call *call, enum route route)
{
	if (call->method != NULL)
		execute_restart(call);
	else
		call->err.kind = ERR_NONE;
	call->route = (uint8_t)route;
	store->retries++;
}

/* Puts calls in front of those that wait on the lane. */
static void put_back(struct lane *lane, struct list *calls)
{
	gather_undo(lane, calls);
	list_for_each(node, calls)
		lane->waiting_count++;
	list_splice_front(&lane->waiting, calls);
}

/* Whether the failed call's error may stand: an error that other transactions caused is tried again. */
static bool tries_again(struct call *call, enum outcome failure)
{
	bool late = call->deadline != 0 && call->deadline <= clock_ns();

	if (failure == CALL_DONE || late)
		return false;
	return ++call->attempts < TRIES_MAX;
}

/* The group's transaction was rolled back because of one call. Those before it run again as a group, then it alone, then those behind it;
 * what only read before it is answered, and so is the call itself when nothing was written before it: it saw the same as it would alone. */
static void split(struct postgres_store *store, struct list *group, struct call *failed, enum outcome failure, struct list *again)
{
	bool wrote = false, behind = false;

	list_for_each(node, group) {
		if (call_of(node) == failed)
			break;
		wrote = wrote || writes(call_of(node));
	}
	list_for_each_safe(node, group) {
		struct call *call = call_of(node);

		list_remove(node);
		if (call == failed) {
			behind = true;
			if (!wrote && !tries_again(call, failure)) {
				postgres_finish(store, call);
				continue;
			}
			restart(store, call, ROUTE_ALONE);
		} else if (!behind && !wrote && call->route != ROUTE_KEPT) {
			postgres_finish(store, call);
			continue;
		} else {
			restart(store, call, ROUTE_TOGETHER);
		}
		list_append(again, node);
	}
}

/* The commit itself failed: each call runs again on its own, so that the one to blame is found. */
static void take_apart(struct postgres_store *store, struct list *group, struct call *failed, enum outcome failure, struct list *again)
{
	bool single = group->next->next == group;

	if (single && !tries_again(failed, failure)) {
		finish_all(store, group);
		return;
	}
	list_for_each(node, group)
		restart(store, call_of(node), ROUTE_ALONE);
	list_splice(again, group);
}

/* A commit whose wait for a synchronous standby was cancelled, by whomever, counts as done for the server, with a warning. It is
 * not what was promised. Statements of ours give no warnings: any is doubt. */
static void doubt_commit(struct postgres_store *store, struct list *group, bool cancelled)
{
	list_for_each(node, group) {
		struct call *call = call_of(node);

		if (!writes(call) || call->err.kind != ERR_NONE)
			continue;
		if (cancelled)
			execute_fail(call, ERR_TIMEOUT, "the call's time ran out while it was being stored");
		else
			execute_fail(call, ERR_UNAVAILABLE, "the database server warned while it stored the call: it may be stored on "
			                                    "one server only");
		call->err.outcome = OUTCOME_UNKNOWN;
		store->timeouts += cancelled;
	}
}

void group_end(struct postgres_store *store, struct lane *lane)
{
	struct call *failed = lane->failed;
	struct list group, again;
	unsigned count = lane->group_count;

	if (PQtransactionStatus(lane->connection) == PQTRANS_INTRANS || PQtransactionStatus(lane->connection) == PQTRANS_INERROR) {
		/* Somebody began a transaction on this connection: the Sync has committed nothing, and closing it takes all back. */
		lane->all_sent = false;
		lane_break(store, lane, "a transaction was left open on the connection", false);
		return;
	}
	list_init(&group);
	list_init(&again);
	list_splice(&group, &lane->group);
	lane->group_count = 0;
	lane->state = LANE_READY;
	lane->last_used = clock_ns();
	lane->failed = NULL;
	store->unserved = 0;
	store->transactions++;
	store->batched += count;
	if (count > store->batch_max)
		store->batch_max = count;
	if (failed != NULL)
		encoder_drop(lane);
	if (failed == NULL) {
		if (lane->warned)
			doubt_commit(store, &group, lane->cancelled_at != 0);
		if (lane->group_limit < GROUP_MAX)
			lane->group_limit *= 2;
		encoder_submit(store, lane);
		finish_all(store, &group);
	} else {
		/* Where calls fail in number, small groups have less to do again. */
		lane->group_limit = lane->group_limit > 4 ? lane->group_limit / 4 : 1;
		if (lane->commit_failed)
			take_apart(store, &group, failed, lane->failure, &again);
		else
			split(store, &group, failed, lane->failure, &again);
		put_back(lane, &again);
	}
	if (lane->doomed)
		lane_close(store, lane);
}

static void lost_call(struct postgres_store *store, struct call *call, bool committed_perhaps, bool timed_out, struct list *again)
{
	bool late = call->deadline != 0 && call->deadline <= clock_ns();
	enum err_kind kind = late || timed_out ? ERR_TIMEOUT : ERR_UNAVAILABLE;

	if (!late && (!writes(call) || !committed_perhaps) && ++call->attempts <= (writes(call) ? TRIES_MAX : 1)) {
		restart(store, call, ROUTE_TOGETHER);
		list_append(again, &call->link);
		return;
	}
	if (call->method == NULL)
		err_set(&call->err, kind, "the connection to the database was lost");
	else if (writes(call) && committed_perhaps)
		execute_fail(call, kind, "the connection to the database was lost while the call was being stored");
	else
		execute_fail(call, kind, "the connection to the database was lost");
	call->err.outcome = writes(call) && committed_perhaps ? OUTCOME_UNKNOWN : OUTCOME_NONE;
	store->timeouts += kind == ERR_TIMEOUT;
	postgres_finish(store, call);
}

void group_lost(struct postgres_store *store, struct lane *lane, bool timed_out)
{
	/* The Sync is the last thing sent: a server that did not get it, or that had refused the transaction, has committed nothing. */
	bool committed_perhaps = lane->all_sent && lane->failed == NULL && !lane->unserved;
	struct list group, again;

	encoder_drop(lane);
	list_init(&group);
	list_init(&again);
	list_splice(&group, &lane->group);
	lane->group_count = 0;
	lane->state = LANE_READY;
	while (!list_empty(&group)) {
		struct call *call = call_of(list_first(&group));

		list_remove(&call->link);
		if (call == lane->failed && lane->failure == CALL_DONE) {
			postgres_finish(store, call);
		} else if (lane->unserved && (call->deadline == 0 || call->deadline > clock_ns())) {
			/* Waits on, as for a connection: for as long as calls may wait for one. */
			restart(store, call, ROUTE_TOGETHER);
			list_append(&again, &call->link);
		} else {
			lost_call(store, call, committed_perhaps, timed_out, &again);
		}
	}
	lane->failed = NULL;
	put_back(lane, &again);
}
