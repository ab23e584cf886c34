#include "dispatch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../backends/transaction.h"
#include "../../protocol/decode.h"
#include "../../protocol/foreign.h"
#include "../../protocol/wire/rpc.h"
#include "batch.h"
#include "finish.h"
#include "idempotency_key.h"
#include "members.h"
#include "passwords.h"
#include "submit.h"

enum { MAX_KEPT_NODES = 16 * 1024, SMALL_LINE = 1024, WALL_CHECK_NS = 10 * 1000 * 1000 };

/* The wall clock, derived from the monotonic clock: reading both for each call would show in a
 * profile. */
static int64_t wall_clock(struct dispatcher *dispatcher)
{
	struct iteration_clock *clock = &dispatcher->runtime->clock;

	if (dispatcher->wall_checked == 0 ||
		clock->now - dispatcher->wall_checked > WALL_CHECK_NS) {
		iteration_clock_read(clock);
		dispatcher->wall_offset = timestamp_now() - (int64_t)(clock->now / 1000);
		dispatcher->wall_checked = clock->now;
	}
	return dispatcher->wall_offset + (int64_t)(clock->now / 1000);
}

static void on_done(struct call *call)
{
	struct request *request = request_of(call);

	assert(!request->dispatcher->submitting);
	if (!call->method->write) {
		request->dispatcher->expected -= request->lent;
		connection_read_done(request->connection, call->answer.length);
	}
	request->lent = 0;
	if (call->method->impl != IMPL_SQL && passwords_needs_check(call))
		passwords_verify(request);
	else
		finish_call(request);
}

/* An address has a canonical form of its own in the arena, any other text in its place has not. */
static bool holds_text(enum type type)
{
	return type == TYPE_STRING || type == TYPE_SEALED || type == TYPE_ENUM || type == TYPE_IP;
}

/* Copies the parameters that still point into the line, which is freed with all unused members. */
static int keep_texts(struct call *call, const struct json *json)
{
	const char *start = json->text, *end = start + json->nodes[0].start + json->nodes[0].length;

	for (unsigned i = 0; i < call->method->bind_count; i++) {
		struct value *value = &call->values[i];
		bool text = value->set && holds_text((enum type)call->method->binds[i].type);

		if (!text || value->s.ptr < start || value->s.ptr > end)
			continue;
		value->s.ptr = arena_copy(&call->arena, value->s.ptr, value->s.len);
		if (value->s.ptr == NULL)
			return err_set(&call->err, ERR_INTERNAL, "out of memory");
	}
	return 0;
}

static int keep_members(
	struct request *request, const struct json *json, uint32_t params, bool whole)
{
	struct call *call = &request->call;

	if (members_decode(request, json, params) < 0)
		return -1;
	for (unsigned i = 0; i < call->member_count && !whole; i++)
		if (keep_texts(&call->members[i], json) < 0) {
			call->err = call->members[i].err;
			return -1;
		}
	request->lent = transaction_bytes(call);
	return 0;
}

/* Copies what the call needs of the line: a short line as a whole, which saves checking each
 * parameter. */
static int keep_line(struct request *request, struct json *json, size_t length,
	const struct rpc_request *envelope)
{
	struct call *call = &request->call;
	bool whole = request->batch == NULL && length <= SMALL_LINE;
	const char *text = json->text, *from = whole ? text : envelope->id;
	const char *copy = arena_copy(&call->arena, from, whole ? length : envelope->id_length);

	if (copy == NULL)
		return err_set(&call->err, ERR_INTERNAL, "out of memory");
	request->id = request->notification ? NULL : copy + (envelope->id - from);
	if (whole)
		json->text = copy;
	call->values =
		arena_calloc(&call->arena, call->method->bind_count + 1U, sizeof *call->values);
	if (call->values == NULL)
		return err_set(&call->err, ERR_INTERNAL, "out of memory");
	if (call->method->impl == IMPL_TRANSACTION)
		return keep_members(request, json, envelope->params, whole);
	if (decode_params(call->method, json, envelope->params, call->now, &call->arena,
		    call->values, &call->err) < 0)
		return -1;
	return whole ? 0 : keep_texts(call, json);
}

static int dispatch_prepare(struct request *request, struct json *json, size_t length,
	const struct rpc_request *envelope)
{
	struct call *call = &request->call;
	int result;

	call->now = wall_clock(request->dispatcher);
	call->deadline =
		request->started + request->dispatcher->runtime->settings->call_timeout * 1000000;
	call->order = &request->connection->order;
	call->done = on_done;
	call->answer.cap = (size_t)request->dispatcher->runtime->settings->answer_limit;
	result = keep_line(request, json, length, envelope);
	if (result == 0 && envelope->key != NULL && call->method->keyed)
		result = idempotency_key_take(request, json, envelope);
	if (result == 0) {
		rpc_begin_result(&call->answer, request->notification ? "null" : request->id,
			request->notification ? 4 : request->id_length);
		call->answer_start = call->answer.length;
	}
	request_charge(request);
	return result;
}

/* The parameters are decoded: submits the call to the store, or first to the password pool. */
static void go_on(struct request *request)
{
	struct connection *connection = request->connection;

	if (!submit_begins(request))
		return;
	if (passwords_needs_hash(request)) {
		passwords_hash(request);
	} else if (!list_empty(&connection->held)) {
		request_move(request, REQUEST_WAITING);
		list_append(&connection->held, &request->link);
	} else {
		submit_call(request);
	}
}

/* A call of the database, or the health probe: answered later. */
static void dispatch_begin_call(struct request *request, struct json *json, size_t length,
	const struct rpc_request *envelope)
{
	struct dispatcher *dispatcher = request->dispatcher;
	const struct own_method *own = &dispatcher->own_methods[request->call.method->index];

	connection_call_begun(request->connection);
	dispatcher->in_flight++;
	if (dispatch_prepare(request, json, length, envelope) < 0)
		finish_call(request);
	else if (own->begin != NULL)
		own->begin(dispatcher->admin, request);
	else if (pause_holds(&dispatcher->pause))
		pause_hold(&dispatcher->pause, request);
	else
		go_on(request);
}

/* Calls a method that the daemon answers at once, into the connection's output or the batch's
 * request. */
static void answer_now(struct connection *connection, struct request *request, struct json *json,
	const struct rpc_request *envelope, const struct own_method *own)
{
	struct dispatcher *dispatcher = dispatcher_of(connection);
	const struct method *method = envelope->method;
	struct buffer *out = request != NULL ? &request->call.answer : connection_text(connection);
	size_t start = out->length;
	uint64_t began = dispatcher->runtime->clock.now;
	struct value values[CATALOG_MAX_VALUES];
	struct err err;
	int result = 0;

	err.kind = ERR_NONE;
	if (envelope->params != DECODE_NO_PARAMS || method->param_count > 0)
		result = decode_params(
			method, json, envelope->params, 0, &dispatcher->scratch, values, &err);
	if (result == 0) {
		rpc_begin_result(out, envelope->notification ? "null" : envelope->id,
			envelope->notification ? 4 : envelope->id_length);
		result = own->answer(
			dispatcher->admin, &(struct method_input){connection, values}, out, &err);
		rpc_end_result(out);
	}
	if (result != 0 || envelope->notification)
		out->length = start; /* the connection checks for a failed allocation */
	if (result != 0) {
		finish_hide_internal(&err, method->name);
		if (!envelope->notification)
			rpc_error(out, envelope->id, envelope->id_length, &err);
	}
	iteration_clock_read(&dispatcher->runtime->clock);
	metrics_call(&dispatcher->runtime->metrics, method, err.kind,
		dispatcher->runtime->clock.now - began, 0);
	if (request != NULL) {
		request_move(request, REQUEST_DONE);
		batch_finish(request->batch, request);
	} else {
		if (!envelope->notification)
			buffer_byte(out, '\n');
		connection_answered(connection);
	}
}

/* Whether the peer may call the method, and the daemon still begins calls. */
static bool admitted(struct connection *connection, const struct method *method, struct err *err)
{
	if (!submit_has_role(connection, method, err))
		return false;
	if (dispatcher_of(connection)->stopping && method->impl != IMPL_DAEMON)
		(void)err_set(
			err, ERR_SHUTTING_DOWN, "the daemon is stopping; try again in a moment");
	else
		return true;
	return false;
}

static struct request *new_request(
	struct connection *connection, struct batch *batch, bool notification)
{
	struct dispatcher *dispatcher = dispatcher_of(connection);
	struct request *request = request_new(&dispatcher->requests, dispatcher, connection);

	if (request == NULL) {
		connection_close(connection, "out of memory");
		return NULL;
	}
	request->started = dispatcher->runtime->clock.now;
	request->batch = batch;
	request->notification = notification;
	if (batch != NULL)
		request->index = batch->begun - 1;
	return request;
}

/* Whether a request of a tolerantly scanned text breaks no rule. */
static bool keeps_rules(const struct dispatcher *dispatcher, const struct json *json, uint32_t node,
	struct err *err)
{
	unsigned depth = (unsigned)dispatcher->runtime->settings->depth_limit -
		(node != 0); /* a batch is a container around it */

	return (json->nodes[node].flags & JSON_BROKEN) == 0 ||
		json_scan_part(json, node, depth, err) == 0;
}

/* Handles one request object: a line of its own, or a call of a batch. length: of the json's
 * text. */
static void dispatch_begin(struct connection *connection, struct batch *batch, struct json *json,
	uint32_t node, size_t length)
{
	struct dispatcher *dispatcher = dispatcher_of(connection);
	struct rpc_request envelope;
	struct err err;
	bool fine = rpc_request(json, node, &dispatcher->scratch, &envelope, &err) == 0 &&
		admitted(connection, envelope.method, &err);
	fine = keeps_rules(dispatcher, json, node, &err) &&
		fine; /* before other errors of the request itself */
	const struct own_method *own =
		fine ? &dispatcher->own_methods[envelope.method->index] : NULL;
	bool now = !fine || own->answer != NULL;
	struct request *request = NULL;

	dispatcher->runtime->metrics.notifications += envelope.notification;
	if (batch != NULL || !now) {
		request = new_request(connection, batch, envelope.notification);
		if (request == NULL && batch != NULL)
			batch_drop(batch);
		if (request == NULL)
			return;
		request->id = envelope.id;
		request->id_length = envelope.id_length;
	}
	if (!fine && envelope.notification && request == NULL) {
		dispatcher->runtime->metrics.refused[err.kind]++;
	} else if (!fine) {
		finish_refused(connection, request, envelope.id, envelope.id_length, &err);
	} else if (now) {
		answer_now(connection, request, json, &envelope, own);
	} else {
		request->call.method = envelope.method;
		dispatch_begin_call(request, json, length, &envelope);
	}
	if (dispatcher->scratch.total > 0)
		arena_reset(&dispatcher->scratch);
}

static void begin_batch(struct connection *connection, size_t length)
{
	struct dispatcher *dispatcher = dispatcher_of(connection);
	struct json *json = &dispatcher->json;
	uint32_t count = json->nodes[0].count;
	struct err err;

	dispatcher->runtime->metrics.batches++;
	if (count == 0 || count > dispatcher->runtime->settings->batch_limit) {
		if (count == 0)
			(void)err_set(&err, ERR_INVALID_REQUEST, "the batch is empty");
		else
			(void)err_set(&err, ERR_INVALID_REQUEST,
				"the batch has %u calls; the limit is %llu", count,
				(unsigned long long)dispatcher->runtime->settings->batch_limit);
		finish_refused(connection, NULL, "null", 4, &err);
		return;
	}
	connection->batch = batch_new(connection, json, length);
	if (connection->batch == NULL)
		connection_close(connection, "out of memory");
}

void dispatch_trim(struct dispatcher *dispatcher)
{
	request_pool_trim(&dispatcher->requests);
	if (dispatcher->json.capacity > MAX_KEPT_NODES && !dispatcher->many_nodes)
		json_scan_free(&dispatcher->json);
	dispatcher->many_nodes = false;
}

static void dispatch_batch_next(struct connection *connection)
{
	struct dispatcher *dispatcher = dispatcher_of(connection);
	struct batch *batch = connection->batch;
	struct batch_line left = {.pieces = NULL};
	struct json *json;
	uint32_t node;
	bool begun = batch_next(batch, &dispatcher->json, &json, &node, &left) == 0;

	if (batch_all_begun(batch))
		connection->batch = NULL; /* it exists until its last call is finished */
	if (begun) {
		dispatch_begin(connection, batch, json, node, 0);
	} else {
		connection_close(connection, "out of memory");
		batch_drop(batch);
	}
	batch_line_free(&left);
	iteration_clock_read(&dispatcher->runtime->clock);
}

static bool holds_object(const struct json *json)
{
	if (json->nodes[0].type != JSON_ARRAY)
		return json->nodes[0].type == JSON_OBJECT;
	for (uint32_t item = 1; item < json->nodes[0].next; item = json->nodes[item].next)
		if (json->nodes[item].type == JSON_OBJECT)
			return true;
	return false;
}

/* The strict scanner refused the line. Whether it still contains requests, which are then checked
 * one by one. */
static bool scan_requests(
	struct dispatcher *dispatcher, const char *line, size_t length, struct err *err)
{
	struct json *json = &dispatcher->json;
	const char *foreign;
	struct err other;

	if (err->kind != ERR_PARSE_ERROR)
		return false;
	if (json_scan_tolerant(json, line, length,
		    (unsigned)dispatcher->runtime->settings->depth_limit, &other) == 0)
		return holds_object(json);
	if (other.kind != ERR_PARSE_ERROR) {
		*err = other;
		return false;
	}
	foreign = foreign_explain(line, length);
	if (foreign != NULL)
		(void)err_set(err, ERR_PARSE_ERROR, "not a JSON text: %s", foreign);
	return false;
}

static void dispatch_line(struct connection *connection, const char *line, size_t length)
{
	struct dispatcher *dispatcher = dispatcher_of(connection);
	struct json *json = &dispatcher->json;
	struct err err;

	dispatcher->runtime->metrics.lines++;
	if (json_scan(json, line, length, (unsigned)dispatcher->runtime->settings->depth_limit,
		    &err) < 0 &&
		!scan_requests(dispatcher, line, length, &err)) {
		finish_refused(connection, NULL, "null", 4, &err);
		iteration_clock_read(&dispatcher->runtime->clock);
	} else if (json->nodes[0].type == JSON_ARRAY) {
		begin_batch(connection, length);
	} else {
		dispatch_begin(connection, NULL, json, 0, length);
	}
	dispatcher->many_nodes |= json->count > MAX_KEPT_NODES;
}

static void dispatch_too_long(struct connection *connection)
{
	struct err err;

	(void)err_set(&err, ERR_TOO_LARGE, "the line is longer than the limit of %llu bytes",
		(unsigned long long)dispatcher_of(connection)->runtime->settings->line_limit);
	finish_refused(connection, NULL, "null", 4, &err);
}

static size_t dispatch_batch_ahead(const struct batch *batch)
{
	return batch->ahead;
}

static void dispatch_batch_abandon(struct connection *connection)
{
	struct batch *batch = connection->batch;

	connection->batch = NULL;
	batch_abandon(batch);
}

static void dispatch_peer_gone(struct connection *connection)
{
	password_pool_drop(dispatcher_of(connection)->passwords, connection);
}

const struct connection_events dispatch_events = {
	.line = dispatch_line,
	.too_long = dispatch_too_long,
	.begin_next = dispatch_batch_next,
	.answers_ahead = dispatch_batch_ahead,
	.abandon_batch = dispatch_batch_abandon,
	.peer_gone = dispatch_peer_gone,
};

void dispatch_flush(struct dispatcher *dispatcher)
{
	/* The end of a call may release others. */
	while (dispatcher->submitted) {
		dispatcher->submitted = false;
		dispatcher->store->ops->flush(dispatcher->store);
	}
}

int dispatch_init(struct dispatcher *dispatcher, const struct dispatch_parts *parts)
{
	struct runtime *runtime = parts->runtime;

	*dispatcher = (struct dispatcher){.runtime = runtime,
		.store = parts->store,
		.own_methods = parts->own_methods,
		.admin = parts->admin};
	arena_init(&dispatcher->scratch);
	dispatcher->scratch.wipe = true;
	request_pool_init(&dispatcher->requests);
	members_init(&dispatcher->transactions);
	if (pause_init(&dispatcher->pause, runtime, go_on) < 0 ||
		password_cost_init(&dispatcher->password_cost, dispatcher, passwords_compare) < 0)
		return -1;
	dispatcher->passwords =
		password_pool_new(&runtime->loop, (unsigned)runtime->settings->password_threads,
			(unsigned)runtime->settings->password_queue);
	return dispatcher->passwords != NULL ? 0 : -1;
}

void dispatch_close_handles(struct dispatcher *dispatcher)
{
	pause_close(&dispatcher->pause);
	password_cost_close(&dispatcher->password_cost);
	password_pool_free(dispatcher->passwords);
}

void dispatch_free(struct dispatcher *dispatcher)
{
	json_scan_free(&dispatcher->json);
	arena_free(&dispatcher->scratch);
	request_pool_free(&dispatcher->requests);
}
