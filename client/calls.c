/* Queues calls, and lets them expire or be cancelled. */
#include "calls.h"

#include <stdlib.h>
#include <string.h>

#include "call_table.h"
#include "encode_params.h"
#include "failure.h"
#include "handle.h"
#include "link.h"
#include "pending_call.h"
#include "value.h"
#include "../protocol/json/json_add.h"
#include "../protocol/wire/rpc.h"

enum { DELAY_FIRST_MS = 20, DELAY_STEPS = 5 }; /* doubles as often: at most 640 ms */

static bool time_is_over(const struct pending_call *call, int64_t now)
{
	return call->deadline <= now;
}

static void earliest_of(const struct list *list, int64_t *earliest)
{
	for (const struct list *node = list->next; node != list; node = node->next) {
		const struct pending_call *call = list_entry(node, const struct pending_call, link);

		if (call->deadline < *earliest)
			*earliest = call->deadline;
	}
}

/* A partly written call cannot be removed: the daemon would receive an incomplete line. */
static bool first_is_partly_written(const struct pierre *db)
{
	return !list_empty(&db->queued) &&
		list_entry(db->queued.next, struct pending_call, link)->written > 0;
}

void calls_expire(struct pierre *db, int64_t now)
{
	struct pierre_error unsent, late;
	struct list over_unsent, over_sent, over_delayed;
	bool partly;

	if (now < db->earliest)
		return;
	list_init(&over_unsent);
	list_init(&over_sent);
	list_init(&over_delayed);
	partly = first_is_partly_written(db) &&
		time_is_over(list_entry(db->queued.next, struct pending_call, link), now);
	pending_call_collect(&db->queued, &over_unsent, now, time_is_over);
	pending_call_collect(&db->sent, &over_sent, now, time_is_over);
	pending_call_collect(&db->delayed, &over_delayed, now, time_is_over);
	db->earliest = INT64_MAX;
	earliest_of(&db->queued, &db->earliest);
	earliest_of(&db->sent, &db->earliest);
	earliest_of(&db->delayed, &db->earliest);
	(void)failure_set(&unsent, PIERRE_NO_ANSWER, "the call timed out before it could be sent");
	(void)failure_set(&late, PIERRE_NO_ANSWER, "the call timed out without an answer");
	unsent.retryable = true;
	if (db->fd < 0 && db->last_error.kind != 0)
		unsent = db->last_error;
	if (partly) {
		struct pending_call *first =
			list_entry(list_first(&over_unsent), struct pending_call, link);

		if (pending_call_may_have_arrived(first)) {
			list_remove(&first->link);
			list_append(&over_sent, &first->link);
		}
		link_broken(
			db, PIERRE_BROKEN, true, "the daemon stopped reading from the connection");
	}
	pending_call_fail_all(db, &over_unsent, &unsent, false);
	pending_call_fail_all(db, &over_sent, &late, true);
	pending_call_fail_all(db, &over_delayed, &late, true);
}

void calls_delay(struct pierre *db, struct pending_call *call)
{
	int64_t pause = DELAY_FIRST_MS
		<< (call->repeats < DELAY_STEPS ? call->repeats : DELAY_STEPS);

	call->doubtful = true;
	call->written = 0;
	call->repeats++;
	call->not_before = clock_ms() + pause;
	list_remove(&call->link);
	list_append(&db->delayed, &call->link);
}

void calls_resume(struct pierre *db, int64_t now)
{
	list_for_each_safe (node, &db->delayed) {
		struct pending_call *call = list_entry(node, struct pending_call, link);

		if (call->not_before > now)
			continue;
		list_remove(node);
		list_append(&db->queued, node);
		pending_call_wait(db, call, now);
	}
}

/* Takes ownership of the line. */
static int64_t calls_enqueue(struct pierre *db, const struct stub_method *method,
	struct buffer *line, pierre_done *done, void *userdata, struct pierre_error *error)
{
	int64_t now = clock_ms();
	struct pending_call *call = calloc(1, sizeof *call);

	if (call == NULL)
		return failure_set(error, PIERRE_NO_MEMORY, "out of memory for another call");
	*call = (struct pending_call){
		.number = db->last_number + 1,
		.method = method,
		.write = method == NULL || method->write,
		.repeatable = db->repeats && method != NULL && method->keyed,
		.line = line->data,
		.length = line->length,
		.done = done,
		.userdata = userdata,
		.deadline = db->call_ms == 0 ? INT64_MAX : now + (int64_t)db->call_ms,
	};
	pending_call_wait(db, call, now);
	if (!call_table_add(&db->table, call)) {
		free(call);
		return failure_set(error, PIERRE_NO_MEMORY, "out of memory for another call");
	}
	*line = (struct buffer){0};
	db->last_number = call->number;
	if (call->deadline < db->earliest)
		db->earliest = call->deadline;
	list_append(&db->queued, &call->link);
	db->next_key[0] = '\0';
	return call->number;
}

/* The caller's key, or one of the call's own. */
static void write_key(
	const struct pierre *db, const struct stub_method *method, struct buffer *line)
{
	const char *key = db->next_key;

	if (*key == '\0' && (!db->repeats || method == NULL || !method->keyed))
		return;
	if (*key != '\0') {
		json_add_text(line, "idempotency_key", key);
		return;
	}
	json_add_name(line, "idempotency_key");
	buffer_byte(line, '"');
	buffer_text(line, db->key_prefix);
	buffer_byte(line, '-');
	json_write_integer(line, db->last_number + 1);
	buffer_byte(line, '"');
}

static void begin_line(const struct pierre *db, struct buffer *line, const char *method,
	const struct stub_method *known)
{
	buffer_text(line, RPC_HEAD);
	json_write_integer(line, db->last_number + 1);
	buffer_text(line, RPC_METHOD);
	json_write_string(line, method, strlen(method));
	write_key(db, known, line);
}

static int64_t finish_line(struct pierre *db, const struct stub_method *method, struct buffer *line,
	pierre_done *done, void *userdata, struct pierre_error *error)
{
	buffer_text(line, "}\n");
	if (line->failure != BUFFER_OK)
		return failure_set(error, PIERRE_NO_MEMORY, "out of memory for another call");
	if (line->length - 1 > db->request_limit)
		return failure_set(error, PIERRE_TOO_LARGE,
			"the request has %zu bytes, more than the maximum of %zu", line->length - 1,
			db->request_limit);
	return calls_enqueue(db, method, line, done, userdata, error);
}

static void drop_line(struct buffer *line)
{
	if (line->data != NULL)
		explicit_bzero(line->data, line->capacity);
	buffer_free(line);
}

static const struct stub_method *find_method(const char *name)
{
	for (size_t i = 0; i < stub_method_count; i++)
		if (strcmp(stub_methods[i].name, name) == 0)
			return &stub_methods[i];
	return NULL;
}

int64_t calls_submit(struct pierre *db, const struct stub_method *method, const void *args,
	pierre_done *done, void *userdata, struct pierre_error *error)
{
	struct buffer line = {0};
	int64_t status = 0;

	if (db->freed)
		return failure_set(error, PIERRE_MISUSE, "the handle is being freed");
	begin_line(db, &line, method->name, method);
	if (method->params != NULL) {
		buffer_text(&line, RPC_PARAMS);
		status = encode_params(&line, method->params, args, error);
	}
	if (status == 0)
		status = finish_line(db, method, &line, done, userdata, error);
	drop_line(&line);
	return status;
}

int64_t pierre_call_async(struct pierre *db, const char *method, const char *params,
	pierre_done *done, void *userdata, struct pierre_error *error)
{
	const struct stub_method *known;
	struct buffer line = {0};
	int64_t status = 0;

	if (db->freed)
		return failure_set(error, PIERRE_MISUSE, "the handle is being freed");
	if (method == NULL || !utf8_valid(method, strlen(method)))
		return failure_param(error, "", "the method's name is %s",
			method == NULL ? "missing" : "not valid UTF-8");
	known = find_method(method);
	begin_line(db, &line, method, known);
	if (params != NULL) {
		buffer_text(&line, RPC_PARAMS);
		status = encode_params_json(&line, params, RPC_DEPTH - 1, false, "params", error);
	}
	if (status == 0)
		status = finish_line(db, known, &line, done, userdata, error);
	drop_line(&line);
	return status;
}

bool pierre_cancel(struct pierre *db, int64_t number)
{
	struct pending_call *call = call_table_find(&db->table, number);

	if (call == NULL || call->refused)
		return false;
	if (call->written == 0 || call->written == call->length)
		pending_call_drop(db, call);
	else
		call->done = NULL; /* partly written: the rest of its line must follow */
	return true;
}

size_t pierre_pending(const struct pierre *db)
{
	return db->table.count;
}
