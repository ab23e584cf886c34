#include "dispatch.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/decode.h"
#include "../../protocol/foreign.h"
#include "../../protocol/wire/rpc.h"
#include "../clients/connection.h"
#include "../loop/daemon.h"
#include "../admin/daemon_methods.h"
#include "../loop/log.h"

enum {
	MAX_KEPT_NODES = 16 * 1024,
	SMALL_LINE = 1024,
	WALL_CHECK_NS = 10 * 1000 * 1000,
	SLOW_LINES = 10
};

void dispatch_init(struct dispatch *dispatch)
{
	*dispatch = (struct dispatch){.clock_stale = true};
	arena_init(&dispatch->scratch);
	dispatch->scratch.wipe = true;
	request_pool_init(&dispatch->requests);
	daemon_methods_init();
}

void dispatch_free(struct dispatch *dispatch)
{
	json_scan_free(&dispatch->json);
	arena_free(&dispatch->scratch);
	request_pool_free(&dispatch->requests);
}

void dispatch_wake(struct dispatch *dispatch)
{
	if (!dispatch->clock_stale)
		return;
	dispatch->clock = uv_hrtime();
	dispatch->clock_stale = false;
}

/* The wall clock, by the other clock: two looks at the time for each call would show in the
 * profile. */
static int64_t wall_clock(struct dispatch *dispatch)
{
	if (dispatch->wall_checked == 0 ||
		dispatch->clock - dispatch->wall_checked > WALL_CHECK_NS) {
		dispatch->clock = uv_hrtime();
		dispatch->wall_offset = timestamp_now() - (int64_t)(dispatch->clock / 1000);
		dispatch->wall_checked = dispatch->clock;
	}
	return dispatch->wall_offset + (int64_t)(dispatch->clock / 1000);
}

/* What only the operator may read goes to the log under a reference; the client gets the reference.
 */
static void hide_internal(struct err *err, const char *method)
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

/* While the database is away every call that waits in vain is slow. */
static bool slow_is_logged(struct dispatch *dispatch)
{
	uint64_t now = clock_ns();

	if (now - dispatch->slow_from >= UINT64_C(1000000000)) {
		dispatch->slow_from = now;
		dispatch->slow_logged = 0;
	}
	if (dispatch->slow_logged >= SLOW_LINES) {
		dispatch->slow_suppressed++;
		return false;
	}
	dispatch->slow_logged++;
	return true;
}

static void log_slow(const struct request *request, uint64_t ns)
{
	const struct call *call = &request->call;
	struct dispatch *dispatch = &request->daemon->dispatch;
	uint64_t limit = request->daemon->settings.slow_call;
	char suppressed[24];

	if (limit == 0 || ns < limit * 1000000)
		return;
	request->daemon->metrics.slow_calls++;
	if (!slow_is_logged(dispatch))
		return;
	(void)snprintf(suppressed, sizeof suppressed, "%llu",
		(unsigned long long)dispatch->slow_suppressed);
	log_event(LOG_NOTICE, "slow call", log_text("method", call->method->name),
		log_real("duration_ms", (double)ns / 1e6), log_number("rows", call->rows),
		log_number("uid", request->connection->uid),
		log_number("pid", request->connection->pid),
		log_text("outcome",
			call->err.kind == ERR_NONE ? "ok" : err_info(call->err.kind)->name),
		log_text("untold", dispatch->slow_suppressed > 0 ? suppressed : NULL));
	dispatch->slow_suppressed = 0;
}

/* Closes the answer's object, or replaces it by an error's. */
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
	hide_internal(&call->err, call->method->name);
	buffer_cut(answer, 0);
	if (!request->notification)
		rpc_error(answer, request->id, request->id_length, &call->err);
}

void dispatch_finish(struct request *request)
{
	struct daemon *daemon = request->daemon;
	struct connection *connection = request->connection;
	uint64_t ns;

	request_move(request, REQUEST_DONE);
	complete_answer(request);
	daemon->dispatch.clock = uv_hrtime();
	ns = daemon->dispatch.clock - request->started;
	if (request->call.dropped) {
		daemon->metrics.calls_dropped++;
	} else {
		metrics_call(&daemon->metrics, request->call.method, request->call.err.kind, ns,
			request->call.rows);
		log_slow(request, ns);
	}
	daemon->dispatch.calls--;
	if (request->batch != NULL) {
		batch_finish(request->batch, request);
	} else {
		if (!request->notification)
			connection_send(connection, &request->call.answer);
		request_free(&daemon->dispatch.requests, request);
	}
	connection_call_done(connection);
}

static bool has_role(
	const struct connection *connection, const struct method *method, struct err *err)
{
	if (connection->role >= method->role)
		return true;
	(void)err_set(err, ERR_PERMISSION_DENIED, "this peer has the role %s; %s needs %s",
		role_name(connection->role), method->name, role_name((enum role)method->role));
	return false;
}

static bool still_begins(struct request *request)
{
	struct connection *connection = request->connection;

	if (atomic_load_explicit(&connection->order.gone, memory_order_relaxed) &&
		!request->notification) {
		(void)err_set(&request->call.err, ERR_UNAVAILABLE, "the client is gone");
		request->call.dropped = true;
	} else if (has_role(connection, request->call.method, &request->call.err)) {
		return true;
	}
	dispatch_finish(request);
	return false;
}

/* What is new was admitted in this loop iteration. */
bool dispatch_begins(struct request *request)
{
	return request->state == REQUEST_NEW || still_begins(request);
}

void dispatch_submit(struct request *request)
{
	struct daemon *daemon = request->daemon;
	unsigned calls;

	if (!dispatch_begins(request))
		return;
	request_move(request, REQUEST_STORE);
	if (request->call.method->impl == IMPL_HASH_PASSWORD)
		dispatch_password_note_hash(request);
	request->connection->reads += !request->call.method->write;
	dispatch_wake(&daemon->dispatch);
	request->call.submitted = daemon->dispatch.clock;
	daemon->dispatch.submitted = true;
	calls = daemon->dispatch.calls;
	daemon->store->ops->submit(daemon->store, &request->call);
	/* The store copies what it writes. What it reads counts with the length that it will
	 * probably have. */
	if (daemon->dispatch.calls == calls && request->state == REQUEST_STORE) {
		request->lent = request->call.method->write ? request->call.arena.total
							    : request->connection->expected;
		request_charge(request);
	}
}

static void on_done(struct call *call)
{
	struct request *request =
		(struct request *)(void *)((char *)call - offsetof(struct request, call));

	request->lent = 0;
	if (!call->method->write)
		connection_read_done(request->connection, call->answer.length);
	if (call->method->impl == IMPL_VERIFY_PASSWORD && call->err.kind == ERR_NONE)
		dispatch_password_verify(request);
	else
		dispatch_finish(request);
}

/* An error that is known at once. request: NULL, or the one to answer in a batch (taken). */
static void dispatch_refuse(struct connection *connection, struct request *request, const char *id,
	size_t id_length, struct err *err)
{
	struct buffer *out;

	hide_internal(err, NULL);
	connection->daemon->metrics.refused[err->kind]++;
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

static bool holds_text(enum type type)
{
	return type == TYPE_STRING || type == TYPE_SEALED || type == TYPE_ENUM;
}

/* Copies the parameters that still lie in the line: it goes, with all that nobody has asked for. */
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

/* Copies what the call needs of the line: a short line as a whole, which needs no look at each
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

	call->now = wall_clock(&request->daemon->dispatch);
	call->deadline = request->started + request->daemon->settings.call_timeout * 1000000;
	call->order = &request->connection->order;
	call->done = on_done;
	result = keep_line(request, json, length, envelope);
	if (result == 0) {
		call->answer.cap = (size_t)request->daemon->settings.answer_limit;
		rpc_begin_result(&call->answer, request->notification ? "null" : request->id,
			request->notification ? 4 : request->id_length);
		call->answer_start = call->answer.length;
	}
	request_charge(request);
	return result;
}

void dispatch_go_on(struct request *request)
{
	struct connection *connection = request->connection;

	if (!dispatch_begins(request))
		return;
	if (dispatch_password_needs_hash(request)) {
		dispatch_password_hash(request);
	} else if (!list_empty(&connection->held)) {
		request_move(request, REQUEST_WAITING);
		list_append(&connection->held, &request->link);
	} else {
		dispatch_submit(request);
	}
}

/* A call of the database, or the health probe: answered later. */
static void dispatch_begin_call(struct request *request, struct json *json, size_t length,
	const struct rpc_request *envelope)
{
	struct daemon *daemon = request->daemon;

	request->connection->calls++;
	daemon->dispatch.calls++;
	if (dispatch_prepare(request, json, length, envelope) < 0)
		dispatch_finish(request);
	else if (request->call.method->impl == IMPL_DAEMON)
		health_ask(&daemon->health, request);
	else if (pause_holds(&daemon->pause))
		pause_hold(&daemon->pause, request);
	else
		dispatch_go_on(request);
}

/* A method that the daemon answers on the spot: into the connection's output, or the batch's
 * request. */
static void answer_now(struct connection *connection, struct request *request, struct json *json,
	const struct rpc_request *envelope, daemon_method run)
{
	struct daemon *daemon = connection->daemon;
	const struct method *method = envelope->method;
	struct buffer *out = request != NULL ? &request->call.answer : connection_text(connection);
	size_t start = out->length;
	uint64_t began = daemon->dispatch.clock;
	struct value values[CATALOG_MAX_VALUES];
	struct err err;
	int result = 0;

	err.kind = ERR_NONE;
	if (envelope->params != DECODE_NO_PARAMS || method->param_count > 0)
		result = decode_params(
			method, json, envelope->params, 0, &daemon->dispatch.scratch, values, &err);
	if (result == 0) {
		rpc_begin_result(out, envelope->notification ? "null" : envelope->id,
			envelope->notification ? 4 : envelope->id_length);
		result = run(daemon, &(struct method_input){connection, values}, out, &err);
		rpc_end_result(out);
	}
	if (result != 0 || envelope->notification)
		out->length = start; /* a failure to get memory is left for the connection to see */
	if (result != 0) {
		hide_internal(&err, method->name);
		if (!envelope->notification)
			rpc_error(out, envelope->id, envelope->id_length, &err);
	}
	daemon->dispatch.clock = uv_hrtime();
	metrics_call(&daemon->metrics, method, err.kind, daemon->dispatch.clock - began, 0);
	if (request != NULL) {
		request_move(request, REQUEST_DONE);
		batch_finish(request->batch, request);
	} else {
		if (!envelope->notification)
			buffer_byte(out, '\n');
		connection_answered(connection);
	}
}

/* May the peer call it, and does the daemon still begin calls? */
static bool admitted(struct connection *connection, const struct method *method, struct err *err)
{
	if (!has_role(connection, method, err))
		return false;
	if (connection->daemon->state != DAEMON_RUNNING && method->impl != IMPL_DAEMON)
		(void)err_set(
			err, ERR_SHUTTING_DOWN, "the daemon is stopping; try again in a moment");
	else
		return true;
	return false;
}

static struct request *new_request(
	struct connection *connection, struct batch *batch, bool notification)
{
	struct daemon *daemon = connection->daemon;
	struct request *request = request_new(&daemon->dispatch.requests, daemon, connection);

	if (request == NULL) {
		connection_close(connection, "out of memory");
		return NULL;
	}
	request->started = daemon->dispatch.clock;
	request->batch = batch;
	request->notification = notification;
	if (batch != NULL)
		request->index = batch->begun - 1;
	return request;
}

/* Of a text that was scanned tolerantly: is this request one of those that break a rule? */
static bool keeps_rules(
	const struct daemon *daemon, const struct json *json, uint32_t node, struct err *err)
{
	unsigned depth = (unsigned)daemon->settings.depth_limit -
		(node != 0); /* a batch is a container around it */

	return (json->nodes[node].flags & JSON_BROKEN) == 0 ||
		json_scan_part(json, node, depth, err) == 0;
}

/* One request object: a line of its own, or a call of a batch. length: of the json's text. */
static void dispatch_begin(struct connection *connection, struct batch *batch, struct json *json,
	uint32_t node, size_t length)
{
	struct daemon *daemon = connection->daemon;
	struct rpc_request envelope;
	struct err err;
	bool fine = rpc_request(json, node, &daemon->dispatch.scratch, &envelope, &err) == 0 &&
		admitted(connection, envelope.method, &err);
	fine = keeps_rules(daemon, json, node, &err) &&
		fine; /* before all that may be wrong with the request itself */
	daemon_method run = fine ? daemon_method_of(envelope.method) : NULL;
	bool now = !fine || run != NULL;
	struct request *request = NULL;

	daemon->metrics.notifications += envelope.notification;
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
		daemon->metrics.refused[err.kind]++;
	} else if (!fine) {
		dispatch_refuse(connection, request, envelope.id, envelope.id_length, &err);
	} else if (run != NULL) {
		answer_now(connection, request, json, &envelope, run);
	} else {
		request->call.method = envelope.method;
		dispatch_begin_call(request, json, length, &envelope);
	}
	if (daemon->dispatch.scratch.total > 0)
		arena_reset(&daemon->dispatch.scratch);
}

static void begin_batch(struct connection *connection, size_t length)
{
	struct daemon *daemon = connection->daemon;
	struct json *json = &daemon->dispatch.json;
	uint32_t count = json->nodes[0].count;
	struct err err;

	daemon->metrics.batches++;
	if (count == 0 || count > daemon->settings.batch_limit) {
		if (count == 0)
			(void)err_set(&err, ERR_INVALID_REQUEST, "the batch is empty");
		else
			(void)err_set(&err, ERR_INVALID_REQUEST,
				"the batch has %u calls; the limit is %llu", count,
				(unsigned long long)daemon->settings.batch_limit);
		dispatch_refuse(connection, NULL, "null", 4, &err);
		return;
	}
	connection->batch = batch_new(connection, json, length);
	if (connection->batch == NULL)
		connection_close(connection, "out of memory");
}

void dispatch_trim(struct dispatch *dispatch)
{
	if (dispatch->json.capacity > MAX_KEPT_NODES && !dispatch->many_nodes)
		json_scan_free(&dispatch->json);
	dispatch->many_nodes = false;
}

void dispatch_batch_next(struct connection *connection)
{
	struct dispatch *dispatch = &connection->daemon->dispatch;
	struct batch *batch = connection->batch;
	struct batch_line left = {.pieces = NULL};
	struct json *json;
	uint32_t node;
	bool begun = batch_next(batch, &dispatch->json, &json, &node, &left) == 0;

	if (batch_all_begun(batch))
		connection->batch = NULL; /* it lives on until its last call is finished */
	if (begun) {
		dispatch_begin(connection, batch, json, node, 0);
	} else {
		connection_close(connection, "out of memory");
		batch_drop(batch);
	}
	batch_line_free(&left);
	dispatch->clock = uv_hrtime();
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

/* The strict scanner refused the line: are there requests in it all the same, each to be judged by
 * itself? */
static bool scan_requests(struct daemon *daemon, const char *line, size_t length, struct err *err)
{
	struct json *json = &daemon->dispatch.json;
	const char *foreign;
	struct err other;

	if (err->kind != ERR_PARSE_ERROR)
		return false;
	if (json_scan_tolerant(
		    json, line, length, (unsigned)daemon->settings.depth_limit, &other) == 0)
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

void dispatch_line(struct connection *connection, const char *line, size_t length)
{
	struct daemon *daemon = connection->daemon;
	struct json *json = &daemon->dispatch.json;
	struct err err;

	daemon->metrics.lines++;
	if (json_scan(json, line, length, (unsigned)daemon->settings.depth_limit, &err) < 0 &&
		!scan_requests(daemon, line, length, &err)) {
		dispatch_refuse(connection, NULL, "null", 4, &err);
		daemon->dispatch.clock = uv_hrtime();
	} else if (json->nodes[0].type == JSON_ARRAY) {
		begin_batch(connection, length);
	} else {
		dispatch_begin(connection, NULL, json, 0, length);
	}
	daemon->dispatch.many_nodes |= json->count > MAX_KEPT_NODES;
}

void dispatch_too_long(struct connection *connection)
{
	struct err err;

	(void)err_set(&err, ERR_TOO_LARGE, "the line is longer than the limit of %llu bytes",
		(unsigned long long)connection->daemon->settings.line_limit);
	dispatch_refuse(connection, NULL, "null", 4, &err);
}
