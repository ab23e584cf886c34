/* libFuzzer: any data from the socket's other side, sent to a handle with calls of every result
 * type in flight. Lines are cut as they arrive. Each call ends at most once, and what is
 * extracted from an answer is freed. */
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "decode_result.h"
#include "handle.h"
#include "pending_call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	const struct stub_method *method = userdata;
	union {
		void *block;
		double number;
	} out = {.block = NULL};
	size_t count = 0;
	char *json = NULL;
	struct pierre_error error;

	(void)db;
	if (pierre_answer_json(answer, &json, &error) == 0 && strlen(json) == 0)
		abort(); /* empty text is not JSON */
	pierre_text_free(json);
	if (answer_result(answer, method, &out, &count, &error) == 0 &&
		(method->result != STUB_RESULT_VALUE || method->value.kind > STUB_TIME))
		decode_result_free(out.block);
}

/* One call of each method, all treated as sent. */
static void begin_calls(struct pierre *db)
{
	for (size_t i = 0; i < stub_method_count; i++)
		(void)pierre_call_async(db, stub_methods[i].name, NULL, take,
			(void *)(uintptr_t)&stub_methods[i], NULL);
	while (!list_empty(&db->queued)) {
		struct pending_call *call =
			list_entry(list_first(&db->queued), struct pending_call, link);

		call->written = call->length;
		list_remove(&call->link);
		list_append(&db->sent, &call->link);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pierre *db = pierre_new("/nonexistent");
	const char *at = (const char *)data, *end = at + size;

	if (db == NULL)
		return 0;
	begin_calls(db);
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((newline != NULL ? newline : end) - at);
		char *line = malloc(length +
			1); /* a separate block, so that a read beyond its end is detected */

		if (line == NULL)
			abort();
		memcpy(line, at, length);
		(void)answer_take(db, line, length);
		free(line);
		at += length + 1;
		if (pierre_pending(db) > stub_method_count)
			abort();
	}
	pierre_free(db);
	return 0;
}
