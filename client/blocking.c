/* Blocking calls: each queues a call and runs iterations of the handle until it is finished. */
#include "blocking.h"

#include "answer.h"
#include "calls.h"
#include "failure.h"
#include "handle.h"

/* A queued call whose caller is waiting. */
struct waiter {
	const struct stub_method *method; /* NULL: the result as JSON text */
	void *out;
	size_t *count;
	struct pierre_error *error;
	int status;
	bool finished;
};

static void wake(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	struct waiter *waiter = userdata;

	(void)db;
	waiter->finished = true;
	waiter->status = waiter->method != NULL
		? answer_result(answer, waiter->method, waiter->out, waiter->count, waiter->error)
		: pierre_answer_json(answer, waiter->out, waiter->error);
}

static int await(struct pierre *db, struct waiter *waiter)
{
	handle_iterate(db, false);
	while (!waiter->finished && !db->freed)
		handle_wait(db, -1);
	if (!waiter->finished)
		waiter->status =
			failure_set(waiter->error, PIERRE_MISUSE, "a callback freed the handle");
	handle_leave(db);
	return waiter->status;
}

int blocking_call(struct pierre *db, const struct stub_method *method, const void *args, void *out,
	size_t *count, struct pierre_error *error)
{
	struct waiter waiter = {.method = method, .out = out, .count = count, .error = error};
	int64_t number;

	if (db->in_callback > 0)
		return failure_set(error, PIERRE_MISUSE, "a blocking call inside a callback");
	number = calls_submit(db, method, args, wake, &waiter, error);
	return number < 0 ? (int)number : await(db, &waiter);
}

int pierre_call(struct pierre *db, const char *method, const char *params, char **result,
	struct pierre_error *error)
{
	struct waiter waiter = {.out = result, .error = error};
	int64_t number;

	if (db->in_callback > 0)
		return failure_set(error, PIERRE_MISUSE, "a blocking call inside a callback");
	number = pierre_call_async(db, method, params, wake, &waiter, error);
	return number < 0 ? (int)number : await(db, &waiter);
}
