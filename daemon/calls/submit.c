#include "submit.h"

#include "../../backends/transaction.h"
#include "../clients/connection.h"
#include "dispatcher.h"
#include "finish.h"

bool submit_lacks_role(
	const struct connection *connection, const struct method *method, struct err *err)
{
	(void)err_set(err, ERR_PERMISSION_DENIED, "this peer has the role %s; %s needs %s",
		role_name(connection->role), method->name, role_name((enum role)method->role));
	return false;
}

bool submit_still_begins(struct request *request)
{
	struct connection *connection = request->connection;

	if (atomic_load_explicit(&connection->order.gone, memory_order_relaxed) &&
		!request->notification) {
		(void)err_set(&request->call.err, ERR_UNAVAILABLE, "the client has disconnected");
		request->call.dropped = true;
	} else if (submit_has_role(connection, request->call.method, &request->call.err)) {
		return true;
	}
	finish_call(request);
	return false;
}

/* A hash that is about to be stored. */
static void note_hash(struct dispatcher *dispatcher, const struct call *call)
{
	const struct value *hash;

	if (call->method->impl != IMPL_HASH_PASSWORD)
		return;
	hash = &call->values[call->method->hash_bind];
	if (hash->set)
		password_cost_note(&dispatcher->password_cost, hash->s.ptr, hash->s.len);
}

static void note_hashes(struct dispatcher *dispatcher, const struct call *call)
{
	if (call->method->impl != IMPL_TRANSACTION) {
		note_hash(dispatcher, call);
		return;
	}
	for (unsigned i = 0; i < call->member_count; i++)
		note_hash(dispatcher, &call->members[i]);
}

void submit_call(struct request *request)
{
	struct dispatcher *dispatcher = request->dispatcher;
	struct iteration_clock *clock = &dispatcher->runtime->clock;
	const struct method *method = request->call.method;

	if (!submit_begins(request))
		return;
	if (method->impl == IMPL_WAIT) {
		dispatcher->own_methods[method->index].in_turn(dispatcher->admin, request);
		return;
	}
	request_move(request, REQUEST_STORE);
	note_hashes(dispatcher, &request->call);
	request->connection->reads += !method->write;
	iteration_clock_wake(clock);
	request->call.submitted = clock->now;
	dispatcher_submit(dispatcher, &request->call);
	if (method->short_read && dispatcher->store->ops->submit_reads)
		iteration_clock_read(clock);
	/* The store copies what it writes. A read counts with its estimated length. */
	request->lent = method->write ? request->call.arena.total : request->connection->expected;
	if (method->impl == IMPL_TRANSACTION)
		request->lent += 2 * transaction_bytes(&request->call);
	if (!method->write)
		dispatcher->expected += request->lent;
	request_charge(request);
}
