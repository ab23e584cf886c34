#include "passwords.h"

#include <string.h>

#include "../clients/connection.h"
#include "dispatcher.h"
#include "finish.h"
#include "submit.h"

bool passwords_needs_hash(const struct request *request)
{
	int8_t bind = request->call.method->password_bind;

	return request->call.method->impl == IMPL_HASH_PASSWORD && bind >= 0 &&
		request->call.values[bind].set;
}

/* Continues the requests behind a hashed password, up to the next one whose hash is missing. */
static void release_held(struct connection *connection)
{
	while (!list_empty(&connection->held)) {
		struct request *request =
			list_entry(list_first(&connection->held), struct request, link);

		if (request->state == REQUEST_HASHING)
			return;
		list_remove(&request->link);
		submit_call(request);
	}
}

static void on_hashed(void *owner, const struct password_result *result)
{
	struct request *request = owner;
	struct connection *connection = request->connection;
	struct value *hash = &request->call.values[request->call.method->hash_bind];
	size_t length = strlen(result->hash);
	char *text = arena_copy(&request->call.arena, result->hash, length);

	request->call.dropped = result->dropped;
	if (result->err.kind == ERR_NONE && text != NULL) {
		*hash = (struct value){.set = true, .s = {text, length}};
		request_move(request, REQUEST_WAITING);
		request->lent = 0;
		request_charge(request);
	} else {
		list_remove(&request->link);
		if (result->err.kind != ERR_NONE)
			request->call.err = result->err;
		else
			(void)err_set(&request->call.err, ERR_INTERNAL, "out of memory");
		finish_call(request);
	}
	release_held(connection);
}

static void on_verified(void *owner, const struct password_result *result)
{
	struct request *request = owner;

	request->call.dropped = result->dropped;
	if (result->err.kind != ERR_NONE) {
		request->call.err = result->err;
	} else if (!result->matches) {
		buffer_cut(&request->call.answer, request->call.answer_start);
		buffer_text(&request->call.answer, "null");
	}
	finish_call(request);
}

static int passwords_submit(struct request *request, struct password_work *work)
{
	struct dispatcher *dispatcher = request->dispatcher;
	const struct value *password = &request->call.values[request->call.method->password_bind];

	work->password = arena_copy(&request->call.arena, password->s.ptr, password->s.len);
	if (work->password == NULL)
		return err_set(&request->call.err, ERR_INTERNAL, "out of memory");
	work->deadline = request->call.deadline;
	work->owner = request;
	work->client = request->notification ? NULL : request->connection;
	request->lent = password_pool_bytes(work);
	request_charge(request);
	return password_pool_submit(dispatcher->passwords, work,
		&request->connection->password_cycle, &request->call.err);
}

void passwords_hash(struct request *request)
{
	struct password_work work = {.done = on_hashed,
		.cost = (unsigned)request->dispatcher->runtime->settings->bcrypt_cost};

	if (passwords_submit(request, &work) < 0) {
		finish_call(request);
		return;
	}
	request_move(request, REQUEST_HASHING);
	list_append(&request->connection->held, &request->link);
}

/* Compares the password with the same work whether or not the row exists: the time reveals
 * nothing. */
void passwords_verify(struct request *request)
{
	request_move(request, REQUEST_CHECKING);
	if (!password_cost_wait(&request->dispatcher->password_cost, request))
		passwords_compare(request);
}

void passwords_compare(struct request *request)
{
	struct password_work work = {.done = on_verified,
		.verify = true,
		.stored = request->call.kept,
		.cost = password_cost_now(&request->dispatcher->password_cost)};

	if (!submit_begins(request))
		return;
	if (passwords_submit(request, &work) < 0)
		finish_call(request);
}
