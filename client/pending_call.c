/* Unfinished calls: completion, callback and release. */
#include "pending_call.h"

#include <stdlib.h>
#include <string.h>

#include "call_table.h"
#include "handle.h"
#include "value.h"

static void pending_call_free(struct pending_call *call)
{
	explicit_bzero(call->line, call->length); /* may contain a password or a token */
	free(call->line);
	free(call);
}

void pending_call_drop(struct pierre *db, struct pending_call *call)
{
	call_table_remove(&db->table, call);
	list_remove(&call->link);
	pending_call_free(call);
}

static void pending_call_call_back(
	struct pierre *db, pierre_done *done, const struct pierre_answer *answer, void *userdata)
{
	if (done == NULL || db->freed)
		return;
	db->in_callback++;
	done(db, answer, userdata);
	db->in_callback--;
}

void pending_call_finish(
	struct pierre *db, struct pending_call *call, const struct pierre_answer *answer)
{
	call_table_remove(&db->table, call);
	list_remove(&call->link);
	pending_call_call_back(db, call->done, answer, call->userdata);
	pending_call_free(call);
}

void pending_call_fail(
	struct pierre *db, struct pending_call *call, const struct pierre_error *error)
{
	struct pierre_answer answer = {.method = call->method, .error = error};

	pending_call_finish(db, call, &answer);
}

void pending_call_refuse(
	struct pierre *db, struct pending_call *call, const struct pierre_error *error)
{
	struct pierre_answer answer = {.method = call->method, .error = error};
	pierre_done *done = call->done;

	call->done = NULL;
	call->refused = true;
	pending_call_call_back(db, done, &answer, call->userdata);
}

void pending_call_fail_all(
	struct pierre *db, struct list *list, const struct pierre_error *error, bool maybe_done)
{
	while (!list_empty(list)) {
		struct pending_call *call = list_entry(list_first(list), struct pending_call, link);
		struct pierre_error own = *error;

		if ((maybe_done || call->doubtful) && call->write)
			own.outcome = PIERRE_OUTCOME_UNKNOWN;
		pending_call_fail(db, call, &own);
	}
}

void pending_call_collect(struct list *from, struct list *over, int64_t now,
	bool (*is_over)(const struct pending_call *, int64_t))
{
	list_for_each_safe (node, from) {
		if (is_over(list_entry(node, struct pending_call, link), now)) {
			list_remove(node);
			list_append(over, node);
		}
	}
}

static bool connect_time_is_over(const struct pending_call *call, int64_t now)
{
	return call->connect_deadline <= now;
}

void pending_call_expire_unconnected(struct pierre *db, int64_t now)
{
	struct list over;

	list_init(&over);
	pending_call_collect(&db->queued, &over, now, connect_time_is_over);
	pending_call_fail_all(db, &over, &db->last_error, false);
}

/* A line with a complete JSON text counts as sent even without its newline: the daemon accepts it
 * as the last line. */
bool pending_call_may_have_arrived(const struct pending_call *call)
{
	return call->written + 1 >= call->length;
}

void pending_call_wait(const struct pierre *db, struct pending_call *call, int64_t now)
{
	call->connect_deadline = now + (int64_t)db->connect_ms;
	if (db->fd < 0 && call->connect_deadline < db->next_attempt)
		call->connect_deadline = db->next_attempt; /* allows at least one attempt */
	if (call->doubtful && call->deadline != INT64_MAX)
		call->connect_deadline = call->deadline; /* only a daemon knows what became of it */
}
