#include "failure.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void __attribute__((format(printf, 3, 0)))
set_message(struct pierre_error *error, int kind, const char *format, va_list args)
{
	*error = (struct pierre_error){.kind = kind, .index = -1};
	error->retryable = kind == PIERRE_NO_CONNECTION || kind == PIERRE_BROKEN;
	(void)vsnprintf(error->message, sizeof error->message, format, args);
}

int failure_set(struct pierre_error *error, int kind, const char *format, ...)
{
	va_list args;

	if (error != NULL) {
		va_start(args, format);
		set_message(error, kind, format, args);
		va_end(args);
	}
	return kind;
}

int failure_param(struct pierre_error *error, const char *path, const char *format, ...)
{
	va_list args;

	if (error != NULL) {
		va_start(args, format);
		set_message(error, PIERRE_INVALID_PARAMS, format, args);
		va_end(args);
		(void)snprintf(error->path, sizeof error->path, "%s", path);
	}
	return PIERRE_INVALID_PARAMS;
}

_Static_assert((int)PIERRE_MESSAGE_SIZE == (int)ERR_MESSAGE_MAX &&
		(int)PIERRE_PATH_SIZE == (int)ERR_PATH_MAX &&
		(int)PIERRE_FIELD_SIZE == (int)ERR_FIELD_MAX,
	"every text of the daemon fits");

/* Copies a text, truncated at a character boundary, with NUL. */
static void failure_copy_text(
	char *out, size_t size, const struct json *json, uint32_t node, struct arena *scratch)
{
	const char *text;
	size_t length;

	*out = '\0';
	if (node == 0 || json->nodes[node].type != JSON_STRING)
		return;
	text = json_scan_text(json, node, scratch, &length);
	if (text == NULL)
		return;
	if (length >= size) {
		length = size - 1;
		while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80)
			length--;
	}
	memcpy(out, text, length);
	out[length] = '\0';
}

static uint32_t failure_member(const struct json *json, uint32_t object, const char *name)
{
	return object != 0 && json->nodes[object].type == JSON_OBJECT
		? json_member(json, object, name, strlen(name))
		: 0;
}

/* Decoders for the forms of ERROR_MEMBERS. Only arrays use the size. */
static void read_text(
	void *out, size_t size, const struct json *json, uint32_t node, struct arena *scratch)
{
	failure_copy_text(out, size, json, node, scratch);
}

static void read_outcome(
	void *out, size_t size, const struct json *json, uint32_t node, struct arena *scratch)
{
	char word[16];

	assert(size == sizeof(int));
	failure_copy_text(word, sizeof word, json, node, scratch);
	*(int *)out = err_outcome_parse(word) == OUTCOME_UNKNOWN ? PIERRE_OUTCOME_UNKNOWN
								 : PIERRE_OUTCOME_NONE;
}

static void read_ref(
	void *out, size_t size, const struct json *json, uint32_t node, struct arena *scratch)
{
	char text[ERR_REF_DIGITS + 2];

	assert(size == sizeof(uint64_t));
	failure_copy_text(text, sizeof text, json, node, scratch);
	*(uint64_t *)out = err_ref_parse(text);
}

static void read_place(
	void *out, size_t size, const struct json *json, uint32_t node, struct arena *scratch)
{
	int64_t place = node != 0 && json->nodes[node].type == JSON_INTEGER
		? json_scan_integer(json, node)
		: -1;

	(void)scratch;
	assert(size == sizeof(int));
	*(int *)out = place >= 0 && place <= INT32_MAX ? (int)place : -1;
}

static bool known_code(int64_t code)
{
	for (int kind = ERR_NONE + 1; kind < ERR_KIND_COUNT; kind++)
		if (err_info((enum err_kind)kind)->code == code)
			return true;
	return false;
}

int failure_from_answer(
	struct pierre_error *error, const struct json *json, uint32_t node, struct arena *scratch)
{
	uint32_t code_node = failure_member(json, node, "code"),
		 data = failure_member(json, node, "data"), found;
	int64_t code;
	int kind;

	if (code_node == 0 || json->nodes[code_node].type != JSON_INTEGER)
		return failure_set(
			error, PIERRE_BAD_ANSWER, "the daemon returned an error without a code");
	code = json_scan_integer(json, code_node);
	kind = known_code(code) ? (int)code : PIERRE_OTHER_ERROR;
	if (error == NULL)
		return kind;
	*error = (struct pierre_error){
		.kind = kind, .code = code >= INT32_MIN && code <= INT32_MAX ? (int)code : 0};
	failure_copy_text(error->message, sizeof error->message, json,
		failure_member(json, node, "message"), scratch);
#define X(name, form)                                                                              \
	read_##form(&error->name, sizeof error->name, json, failure_member(json, data, #name),     \
		scratch);
	ERROR_MEMBERS(X)
#undef X
	found = failure_member(json, data, "retryable");
	error->retryable = found != 0 && json->nodes[found].type == JSON_TRUE;
	return kind;
}

const char *pierre_kind_name(int kind)
{
	static const char *const own[] = {
		[-PIERRE_OK] = "ok",
		[-PIERRE_NO_CONNECTION] = "no_connection",
		[-PIERRE_BROKEN] = "broken",
		[-PIERRE_NO_ANSWER] = "no_answer",
		[-PIERRE_BAD_ANSWER] = "bad_answer",
		[-PIERRE_NO_MEMORY] = "no_memory",
		[-PIERRE_MISUSE] = "misuse",
		[-PIERRE_OTHER_ERROR] = "other_error",
	};

	if (kind <= 0 && kind > -(int)(sizeof own / sizeof own[0]))
		return own[-kind];
	for (int i = ERR_NONE + 1; i < ERR_KIND_COUNT; i++)
		if (err_info((enum err_kind)i)->code == kind)
			return err_info((enum err_kind)i)->name;
	return "unknown";
}
