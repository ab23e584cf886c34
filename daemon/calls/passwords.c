#include "passwords.h"

#include <string.h>

#include "../../backends/transaction.h"
#include "../clients/connection.h"
#include "dispatcher.h"
#include "finish.h"
#include "submit.h"

/* The request's own call, or the members of its transaction. */
static unsigned calls_of(struct request *request, struct call **calls)
{
	struct call *call = &request->call;
	bool transaction = call->method->impl == IMPL_TRANSACTION;

	*calls = transaction ? call->members : call;
	return transaction ? call->member_count : 1;
}

static bool needs_hash(const struct call *call)
{
	int8_t bind = call->method->password_bind;

	return call->method->impl == IMPL_HASH_PASSWORD && bind >= 0 && call->values[bind].set;
}

static bool needs_check(const struct call *call)
{
	return call->method->impl == IMPL_VERIFY_PASSWORD;
}

/* Whether one of a transaction's calls needs it. */
static bool any_member(const struct call *call, bool (*needs)(const struct call *))
{
	for (unsigned i = 0; i < call->member_count; i++)
		if (needs(&call->members[i]))
			return true;
	return false;
}

bool passwords_needs_hash(const struct request *request)
{
	const struct call *call = &request->call;

	return call->method->impl == IMPL_TRANSACTION ? any_member(call, needs_hash)
						      : needs_hash(call);
}

bool passwords_needs_check(const struct call *call)
{
	if (call->err.kind != ERR_NONE)
		return false;
	return call->method->impl == IMPL_TRANSACTION ? any_member(call, needs_check)
						      : needs_check(call);
}

/* The first error is that of the request. */
static void passwords_fail(struct call *call, const struct err *err)
{
	struct call *whole = call->within != NULL ? call->within : call;

	if (whole->err.kind != ERR_NONE)
		return;
	whole->err = *err;
	if (whole != call)
		whole->err.index = (unsigned)(call - whole->members) + 1;
}

void passwords_release_held(struct connection *connection)
{
	while (!list_empty(&connection->held)) {
		struct request *request =
			list_entry(list_first(&connection->held), struct request, link);

		if (request->state == REQUEST_HASHING || request->state == REQUEST_BEHIND)
			return;
		list_remove(&request->link);
		submit_call(request);
	}
}

static void end_hashing(struct request *request)
{
	struct connection *connection = request->connection;

	if (--request->jobs > 0)
		return;
	if (request->call.err.kind == ERR_NONE) {
		request_move(request, REQUEST_WAITING);
		request->lent =
			transaction_is(&request->call) ? transaction_bytes(&request->call) : 0;
		request_charge(request);
	} else {
		list_remove(&request->link);
		finish_call(request);
	}
	passwords_release_held(connection);
}

static void on_hashed(void *owner, const struct password_result *result)
{
	struct call *call = owner;
	struct request *request = request_of(call);
	size_t length = strlen(result->hash);
	char *text = arena_copy(&call->arena, result->hash, length);
	struct err err;

	request->call.dropped = result->dropped;
	if (result->err.kind != ERR_NONE) {
		passwords_fail(call, &result->err);
	} else if (text == NULL) {
		(void)err_set(&err, ERR_INTERNAL, "out of memory");
		passwords_fail(call, &err);
	} else {
		call->values[call->method->hash_bind] =
			(struct value){.set = true, .s = {text, length}};
	}
	end_hashing(request);
}

/* A transaction with such a call is committed already. */
static void end_checking(struct request *request)
{
	struct call *call = &request->call;

	if (--request->jobs > 0)
		return;
	if (transaction_is(call) && call->err.kind == ERR_NONE)
		(void)transaction_end(call);
	if (transaction_is(call) && call->method->write && call->err.kind != ERR_NONE)
		call->err.outcome = OUTCOME_UNKNOWN;
	finish_call(request);
}

static void on_verified(void *owner, const struct password_result *result)
{
	struct call *call = owner;
	struct request *request = request_of(call);

	request->call.dropped = result->dropped;
	if (result->err.kind != ERR_NONE) {
		passwords_fail(call, &result->err);
	} else if (!result->matches) {
		buffer_cut(&call->answer, call->answer_start);
		buffer_text(&call->answer, "null");
	}
	end_checking(request);
}

/* Counts the job; failure is that of the call. */
static void passwords_submit(struct call *call, struct password_work *work)
{
	struct request *request = request_of(call);
	const struct value *password = &call->values[call->method->password_bind];
	struct err err;

	work->password = arena_copy(&call->arena, password->s.ptr, password->s.len);
	if (work->password == NULL) {
		(void)err_set(&err, ERR_INTERNAL, "out of memory");
		passwords_fail(call, &err);
		return;
	}
	work->deadline = request->call.deadline;
	work->owner = call;
	work->client = request->notification ? NULL : request->connection;
	request->lent += password_pool_bytes(work);
	request_charge(request);
	request->jobs++;
	if (password_pool_submit(request->dispatcher->passwords, work,
		    &request->connection->password_cycle, &err) < 0) {
		request->jobs--;
		passwords_fail(call, &err);
	}
}

/* A job that is returned at once must not end the request while others are being submitted: jobs
 * counts one for that. */
void passwords_hash(struct request *request)
{
	struct call *calls;
	unsigned count = calls_of(request, &calls);

	request_move(request, REQUEST_HASHING);
	list_append(&request->connection->held, &request->link);
	request->jobs = 1;
	for (unsigned i = 0; i < count && request->call.err.kind == ERR_NONE; i++) {
		struct password_work work = {.done = on_hashed,
			.cost = (unsigned)request->dispatcher->runtime->settings->bcrypt_cost};

		if (needs_hash(&calls[i]))
			passwords_submit(&calls[i], &work);
	}
	end_hashing(request);
}

/* Compares the password with the same work whether or not the row exists: the time reveals
 * nothing. */
void passwords_verify(struct request *request)
{
	struct call *calls;
	unsigned count = calls_of(request, &calls);

	request_move(request, REQUEST_CHECKING);
	for (unsigned i = 0; i < count; i++)
		if (calls[i].kept != NULL)
			password_cost_note(&request->dispatcher->password_cost, calls[i].kept,
				strlen(calls[i].kept));
	if (!password_cost_wait(&request->dispatcher->password_cost, request))
		passwords_compare(request);
}

void passwords_compare(struct request *request)
{
	struct call *calls;
	unsigned count = calls_of(request, &calls);

	/* What is stored is answered. */
	if (!request->call.method->write && !submit_begins(request))
		return;
	request->jobs = 1;
	for (unsigned i = 0; i < count && request->call.err.kind == ERR_NONE; i++) {
		struct password_work work = {.done = on_verified,
			.verify = true,
			.stored = calls[i].kept,
			.cost = password_cost_now(&request->dispatcher->password_cost)};

		if (needs_check(&calls[i]))
			passwords_submit(&calls[i], &work);
	}
	end_checking(request);
}
