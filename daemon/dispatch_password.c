/* Calls with passwords: hashed before the store gets them, or compared after it has found the row. What a connection sends
 * behind a create_user whose password is being hashed is held back, so that its order is kept. */
#include <stdlib.h>
#include <string.h>

#include "../protocol/rpc.h"
#include "connection.h"
#include "daemon.h"

static void fail(struct request *request, enum err_kind kind, const char *message)
{
	(void)err_set(&request->call.err, kind, "%s", message);
	dispatch_finish(request);
}

bool dispatch_needs_hash(const struct request *request)
{
	int8_t slot = request->daemon->dispatch.password_slots[request->call.method->index];

	return request->call.method->impl == IMPL_HASH_PASSWORD && slot >= 0 && request->call.values[slot].set;
}

/* Requests behind a hashed password go on, up to the next one whose hash is not there. */
static void release_held(struct connection *connection)
{
	while (!list_empty(&connection->held)) {
		struct request *request = list_entry(list_first(&connection->held), struct request, link);

		if (request->state == REQUEST_HASHING)
			return;
		list_remove(&request->link);
		dispatch_submit(request);
	}
}

static struct request *request_of_job(struct password_job *job)
{
	return *(struct request **)(void *)(job + 1);
}

static void on_hashed(struct password_job *job)
{
	struct request *request = request_of_job(job);
	struct connection *connection = request->connection;
	struct value *hash = &request->call.values[request->daemon->dispatch.hash_slots[request->call.method->index]];

	if (job->err.kind != ERR_NONE) {
		list_remove(&request->link);
		request->call.err = job->err;
		dispatch_finish(request);
	} else {
		*hash = (struct value){.set = true, .s = {job->hash, strlen(job->hash)}};
		request_move(request, REQUEST_WAITING);
	}
	release_held(connection);
}

static void on_verified(struct password_job *job)
{
	struct request *request = request_of_job(job);

	if (job->err.kind != ERR_NONE) {
		request->call.err = job->err;
	} else if (!job->matches) {
		buffer_cut(&request->call.answer, request->call.answer_start);
		buffer_text(&request->call.answer, "null");
	}
	dispatch_finish(request);
}

/* A job in the request's arena, with the request's address behind it. */
static struct password_job *new_job(struct request *request, void (*done)(struct password_job *))
{
	struct dispatch *dispatch = &request->daemon->dispatch;
	const struct value *password = &request->call.values[dispatch->password_slots[request->call.method->index]];
	struct password_job *job = arena_calloc(&request->call.arena, 1, sizeof *job + sizeof request);

	if (job == NULL)
		return NULL;
	memcpy(job + 1, &request, sizeof request);
	list_init(&job->link);
	job->password = arena_copy(&request->call.arena, password->s.ptr, password->s.len);
	job->cost = (unsigned)request->daemon->settings.bcrypt_cost;
	job->deadline = request->call.deadline;
	job->done = done;
	return job->password != NULL ? job : NULL;
}

void dispatch_hash(struct request *request)
{
	struct password_job *job = new_job(request, on_hashed);

	if (job == NULL) {
		fail(request, ERR_INTERNAL, "memory is out");
		return;
	}
	request_move(request, REQUEST_HASHING);
	list_append(&request->connection->held, &request->link);
	if (password_pool_submit(request->daemon->passwords, job, &request->connection->password_turn))
		return;
	list_remove(&request->link);
	fail(request, ERR_UNAVAILABLE, "too many passwords wait to be hashed");
}

/* The row is there (or not): the password is compared all the same, so that the time tells nothing. */
void dispatch_verify(struct request *request)
{
	struct password_job *job = new_job(request, on_verified);

	if (job == NULL) {
		fail(request, ERR_INTERNAL, "memory is out");
		return;
	}
	job->verify = true;
	job->stored = request->call.kept;
	request_move(request, REQUEST_CHECKING);
	if (!password_pool_submit(request->daemon->passwords, job, &request->connection->password_turn))
		fail(request, ERR_UNAVAILABLE, "too many passwords wait to be checked");
}

/* A thread still reads the request's memory: the answer goes out beside it, and the request is left alone. */
static void answer_running(struct password_job *job)
{
	struct request *request = request_of_job(job);
	struct buffer *out;
	struct err err;

	if (request->notification || request->batch != NULL || !connection_alive(request->connection))
		return;
	out = connection_text(request->connection);
	(void)err_set(&err, ERR_SHUTTING_DOWN, "the daemon stopped while the password was worked on");
	rpc_error(out, request->id, request->id_length, &err);
	buffer_byte(out, '\n');
	connection_answered(request->connection);
}

void dispatch_abandon_passwords(struct daemon *daemon)
{
	password_pool_abandon(daemon->passwords, answer_running);
}
