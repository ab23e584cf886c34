/* Parses a line from the daemon, finds its call, and decodes the result. */
#include "answer.h"

#include <string.h>

#include "call_table.h"
#include "calls.h"
#include "decode_result.h"
#include "failure.h"
#include "handle.h"
#include "link.h"
#include "pending_call.h"

static uint32_t answer_member(const struct json *json, const char *name)
{
	return json_member(json, 0, name, strlen(name));
}

/* Whether the error leaves open what became of the write, this time or before. */
static bool leaves_open(const struct pending_call *call, const struct pierre_error *failure)
{
	return failure->outcome == PIERRE_OUTCOME_UNKNOWN ||
		(call->doubtful &&
			(failure->retryable || failure->kind == PIERRE_TIMEOUT ||
				failure->kind == PIERRE_PERMISSION_DENIED));
}

static void answer_finish(
	struct pierre *db, struct pending_call *call, uint32_t result, uint32_t error)
{
	struct pierre_answer answer = {.method = call->method};
	struct pierre_error failure;

	if (error != 0) {
		(void)failure_from_answer(&failure, &db->json, error, &db->scratch);
		if (call->write && leaves_open(call, &failure)) {
			failure.outcome = PIERRE_OUTCOME_UNKNOWN;
			if (call->repeatable && failure.kind != PIERRE_PERMISSION_DENIED) {
				calls_delay(db, call);
				return;
			}
		}
		answer.error = &failure;
	} else {
		answer.json = &db->json;
		answer.result = result;
	}
	pending_call_finish(db, call, &answer);
}

/* Looks only at calls that have been sent or are being sent. */
static struct pending_call *longest_begun(struct pierre *db)
{
	struct pending_call *longest = list_empty(&db->queued)
		? NULL
		: list_entry(list_first(&db->queued), struct pending_call, link);

	if (longest != NULL && (longest->written == 0 || longest->refused))
		longest = NULL;

	list_for_each (node, &db->sent) {
		struct pending_call *call = list_entry(node, struct pending_call, link);

		if (longest == NULL || call->length > longest->length)
			longest = call;
	}
	return longest;
}

/* Handles an error with id null. `overloaded` concerns the whole connection; the daemon has then
 * read nothing from it. `too_large` concerns a request too long to be read: most likely the longest
 * one. It may arrive before that request is completely written. Other errors cannot concern a
 * request of this library, unless there is only one. */
static bool take_without_id(struct pierre *db, uint32_t error)
{
	struct pierre_error failure;
	struct pending_call *call = NULL;

	(void)failure_from_answer(&failure, &db->json, error, &db->scratch);
	if (failure.kind == PIERRE_OVERLOADED) {
		struct list all, kept;

		list_init(&all);
		list_init(&kept);
		list_splice(&all, &db->sent);
		list_splice(&all, &db->queued);
		list_for_each_safe (node, &all) {
			struct pending_call *open = list_entry(node, struct pending_call, link);

			if (!open->doubtful)
				continue;
			open->written = 0;
			list_remove(node);
			list_append(&kept, node);
		}
		list_splice(&db->queued, &kept);
		link_broken(db, PIERRE_OVERLOADED, false, failure.message);
		pending_call_fail_all(db, &all, &failure, false);
		return true;
	}
	if (failure.kind == PIERRE_TOO_LARGE)
		call = longest_begun(db);
	else if (!list_empty(&db->sent) && db->sent.next->next == &db->sent)
		call = list_entry(list_first(&db->sent), struct pending_call, link);
	if (call == NULL)
		return false;
	if (call->written < call->length)
		pending_call_refuse(db, call, &failure);
	else
		pending_call_fail(db, call, &failure);
	return true;
}

/* Returns false when the line is not an answer. */
static bool answer_dispatch(struct pierre *db)
{
	const struct json *json = &db->json;
	uint32_t version = answer_member(json, "jsonrpc"), id = answer_member(json, "id"),
		 result = answer_member(json, "result"), error = answer_member(json, "error");
	struct pending_call *call;
	int64_t number;

	if (version == 0 || json->nodes[version].type != JSON_STRING ||
		json->nodes[version].length != 3 ||
		memcmp(json->text + json->nodes[version].start, "2.0", 3) != 0)
		return false;
	if (id == 0 || (result == 0) == (error == 0) ||
		(error != 0 && json->nodes[error].type != JSON_OBJECT))
		return false;
	if (json->nodes[id].type == JSON_NULL && error != 0)
		return take_without_id(db, error);
	if (json->nodes[id].type != JSON_INTEGER)
		return false;
	number = json_scan_integer(json, id);
	if (number < 1 || number > db->last_number)
		return false; /* no such call */
	call = call_table_find(&db->table, number);
	if (call != NULL && call->written < call->length)
		return false; /* the call has not been sent */
	db->pause_ms = 0;
	if (call != NULL) /* else the call has timed out or was cancelled */
		answer_finish(db, call, result, error);
	return true;
}

bool answer_take(struct pierre *db, const char *line, size_t length)
{
	struct err err;
	bool good = json_scan(&db->json, line, length, JSON_DEPTH_MAX, &err) == 0 &&
		db->json.nodes[0].type == JSON_OBJECT && answer_dispatch(db);

	arena_reset(&db->scratch);
	if (!good)
		link_broken(db, PIERRE_BAD_ANSWER, false,
			"the peer of the socket sent a line that is not an answer of pierre-dbd");
	return good;
}

static int given_error(const struct pierre_answer *answer, struct pierre_error *error)
{
	if (error != NULL)
		*error = *answer->error;
	return answer->error->kind;
}

int answer_result(const struct pierre_answer *answer, const struct stub_method *method, void *out,
	size_t *count, struct pierre_error *error)
{
	if (answer == NULL)
		return failure_set(
			error, PIERRE_MISUSE, "there is no answer to a call of %s", method->name);
	if (answer->method != method)
		return failure_set(error, PIERRE_MISUSE,
			"the answer belongs to a method other than %s", method->name);
	if (answer->error != NULL)
		return given_error(answer, error);
	return decode_result(method, answer->json, answer->result, out, count, error);
}

int pierre_answer_json(
	const struct pierre_answer *answer, char **result, struct pierre_error *error)
{
	const char *raw;
	size_t length;
	char *text;

	if (answer->error != NULL)
		return given_error(answer, error);
	raw = decode_result_raw(answer->json, answer->result, &length);
	text = decode_result_text(raw, length);
	if (text == NULL)
		return failure_set(error, PIERRE_NO_MEMORY, "out of memory for the answer");
	if (result != NULL)
		*result = text;
	else
		pierre_text_free(text);
	return 0;
}
