#include "finish.h"

#include <sodium.h>
#include <stdio.h>

#include "../../backends/transaction.h"
#include "../../protocol/wire/rpc.h"
#include "../base/log.h"
#include "../clients/connection.h"
#include "batch.h"
#include "dispatcher.h"

enum { SLOW_LINES = 10 };

void finish_hide_internal(struct err *err, const char *method)
{
	char ref[ERR_REF_DIGITS + 1];

	if (err->kind != ERR_INTERNAL)
		return;
	if (err->ref == 0)
		randombytes_buf(&err->ref, sizeof err->ref);
	err_ref_format(err->ref, ref);
	log_event(LOG_ERR, "internal error", log_text("ref", ref), log_text("method", method),
		log_text("detail", err->message));
	(void)snprintf(err->message, sizeof err->message,
		"internal error; the daemon's log has it under reference %s", ref);
}

/* While the database is unreachable every call is slow. */
static bool slow_is_logged(struct dispatcher *dispatcher)
{
	uint64_t now = clock_ns();

	if (now - dispatcher->slow_from >= UINT64_C(1000000000)) {
		dispatcher->slow_from = now;
		dispatcher->slow_logged = 0;
	}
	if (dispatcher->slow_logged >= SLOW_LINES) {
		dispatcher->slow_suppressed++;
		return false;
	}
	dispatcher->slow_logged++;
	return true;
}

static void log_slow(const struct request *request, uint64_t ns)
{
	const struct call *call = &request->call;
	struct dispatcher *dispatcher = request->dispatcher;
	uint64_t limit = dispatcher->runtime->settings->slow_call;
	char suppressed[24];

	if (limit == 0 || ns < limit * 1000000)
		return;
	dispatcher->runtime->metrics.slow_calls++;
	if (!slow_is_logged(dispatcher))
		return;
	(void)snprintf(suppressed, sizeof suppressed, "%llu",
		(unsigned long long)dispatcher->slow_suppressed);
	log_event(LOG_NOTICE, "slow call", log_text("method", call->method->name),
		log_real("duration_ms", (double)ns / 1e6), log_number("rows", call->rows),
		log_number("uid", request->connection->uid),
		log_number("pid", request->connection->pid),
		log_text("outcome",
			call->err.kind == ERR_NONE ? "ok" : err_info(call->err.kind)->name),
		log_text("suppressed", dispatcher->slow_suppressed > 0 ? suppressed : NULL));
	dispatcher->slow_suppressed = 0;
}

/* Closes the answer's object, or replaces it by an error. */
static void complete_answer(struct request *request)
{
	struct call *call = &request->call;
	struct buffer *answer = &call->answer;

	if (call->err.kind == ERR_NONE && answer->failure == BUFFER_OVER_CAP)
		(void)err_set(&call->err, ERR_TOO_LARGE,
			"the answer is larger than the limit of %zu bytes", answer->cap);
	else if (call->err.kind == ERR_NONE && answer->failure != BUFFER_OK)
		(void)err_set(&call->err, ERR_INTERNAL, "out of memory");
	answer->cap = 0;
	if (call->err.kind == ERR_NONE) {
		rpc_end_result(answer);
		return;
	}
	finish_hide_internal(&call->err, call->method->name);
	buffer_cut(answer, 0);
	if (!request->notification)
		rpc_error(answer, request->id, request->id_length, &call->err);
}

void finish_call(struct request *request)
{
	struct dispatcher *dispatcher = request->dispatcher;
	struct runtime *runtime = dispatcher->runtime;
	struct connection *connection = request->connection;
	uint64_t ns;

	request_move(request, REQUEST_DONE);
	complete_answer(request);
	if (request->call.method->impl == IMPL_TRANSACTION)
		transaction_free(&request->call);
	iteration_clock_read(&runtime->clock);
	ns = runtime->clock.now - request->started;
	if (request->call.dropped) {
		runtime->metrics.calls_dropped++;
	} else {
		metrics_call(&runtime->metrics, request->call.method, request->call.err.kind, ns,
			request->call.rows);
		log_slow(request, ns);
	}
	dispatcher->in_flight--;
	if (request->batch != NULL) {
		batch_finish(request->batch, request);
	} else {
		if (!request->notification)
			connection_send(connection, &request->call.answer);
		request_free(&dispatcher->requests, request);
	}
	connection_call_done(connection);
}

void finish_refused(struct connection *connection, struct request *request, const char *id,
	size_t id_length, struct err *err)
{
	struct buffer *out;

	finish_hide_internal(err, NULL);
	dispatcher_of(connection)->runtime->metrics.refused[err->kind]++;
	if (request != NULL) {
		rpc_error(&request->call.answer, id, id_length, err);
		request_move(request, REQUEST_DONE);
		batch_finish(request->batch, request);
		return;
	}
	out = connection_text(connection);
	rpc_error(out, id, id_length, err);
	buffer_byte(out, '\n');
	connection_answered(connection);
}
