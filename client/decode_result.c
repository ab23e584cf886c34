/* Decodes the result of an answer into a struct, an array of structs, or a scalar.
 *
 * All memory of a result is in one arena, which is stored in front of the block that the caller
 * receives. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "decode_result.h"
#include "failure.h"
#include "value.h"
#include "../protocol/json/json.h"

struct head {
	struct arena arena;
};

_Static_assert(sizeof(struct head) % 8 == 0, "the data after the head is aligned");

struct result_reader {
	const struct json *json;
	struct arena *arena;  /* for the result */
	struct arena scratch; /* for texts with escapes, before they are copied */
	struct pierre_error *error;
	const char *method;
};

/* Allocates a zeroed result of that size with its arena in front; NULL when out of memory. */
static void *block_new(size_t size)
{
	struct arena arena;
	struct head *head;

	arena_init(&arena);
	arena.wipe = true;
	head = size > SIZE_MAX - sizeof *head ? NULL : arena_calloc(&arena, 1, sizeof *head + size);
	if (head == NULL) {
		arena_free(&arena);
		return NULL;
	}
	head->arena = arena;
	return head + 1;
}

static struct arena *block_arena(void *block)
{
	return &((struct head *)block - 1)->arena;
}

void decode_result_free(void *result)
{
	if (result != NULL) {
		struct arena arena =
			*block_arena(result); /* a copy: the arena is in its own first block */

		arena_free(&arena);
	}
}

char *decode_result_text(const char *text, size_t length)
{
	char *copy = length == SIZE_MAX ? NULL : block_new(length + 1);

	if (copy != NULL)
		memcpy(copy, text, length);
	return copy;
}

void pierre_text_free(char *text)
{
	decode_result_free(text);
}

static int decode_result_no_memory(struct result_reader *reader)
{
	return failure_set(reader->error, PIERRE_NO_MEMORY, "out of memory for the answer of %s",
		reader->method);
}

static int decode_result_ill_typed(struct result_reader *reader, const char *name, const char *what)
{
	return failure_set(reader->error, PIERRE_BAD_ANSWER, "invalid answer of %s: %s %s",
		reader->method, name, what);
}

static int decode_result_read_text(
	struct result_reader *reader, uint32_t node, const char **out, const char *name)
{
	const struct json_node *found = &reader->json->nodes[node];
	struct arena *scratch = &reader->scratch;
	const char *text;
	size_t length;

	if (found->type != JSON_STRING)
		return decode_result_ill_typed(reader, name, "is not a string");
	text = json_scan_text(reader->json, node, scratch, &length);
	*out = text != NULL ? arena_copy(reader->arena, text, length) : NULL;
	arena_reset(scratch);
	return *out != NULL ? 0 : decode_result_no_memory(reader);
}

const char *decode_result_raw(const struct json *json, uint32_t node, size_t *length)
{
	const struct json_node *found = &json->nodes[node];
	size_t quote = found->type == JSON_STRING; /* a string's node excludes the quotes */

	*length = found->length + 2 * quote;
	return json->text + found->start - quote;
}

static int read_json(struct result_reader *reader, uint32_t node, const char **out)
{
	size_t length;
	const char *text = decode_result_raw(reader->json, node, &length);

	*out = arena_copy(reader->arena, text, length);
	return *out != NULL ? 0 : decode_result_no_memory(reader);
}

static int decode_result_read_integer(struct result_reader *reader, uint32_t node, int64_t min,
	int64_t max, int64_t *out, const char *name)
{
	if (reader->json->nodes[node].type != JSON_INTEGER)
		return decode_result_ill_typed(reader, name, "is not an integer");
	*out = json_scan_integer(reader->json, node);
	return *out >= min && *out <= max
		? 0
		: decode_result_ill_typed(reader, name, "is out of range");
}

static int read_time(struct result_reader *reader, uint32_t node, int64_t *out, const char *name)
{
	const struct json_node *found = &reader->json->nodes[node];

	if (found->type != JSON_STRING || (found->flags & JSON_ESCAPED) != 0 ||
		!timestamp_parse(reader->json->text + found->start, found->length, out))
		return decode_result_ill_typed(reader, name, "is not a timestamp");
	return 0;
}

static int read_number(
	struct result_reader *reader, const struct stub_field *field, uint32_t node, void *at)
{
	enum json_type type = reader->json->nodes[node].type;
	int64_t integer = 0;
	int status = 0;

	switch ((enum stub_kind)field->kind) {
	case STUB_BOOL:
		*(bool *)at = type == JSON_TRUE;
		return type == JSON_TRUE || type == JSON_FALSE
			? 0
			: decode_result_ill_typed(reader, field->name, "is neither true nor false");
	case STUB_U16:
		status = decode_result_read_integer(
			reader, node, 0, UINT16_MAX, &integer, field->name);
		*(uint16_t *)at = (uint16_t)integer;
		return status;
	case STUB_U32:
		status = decode_result_read_integer(
			reader, node, 0, UINT32_MAX, &integer, field->name);
		*(uint32_t *)at = (uint32_t)integer;
		return status;
	case STUB_I64:
		return decode_result_read_integer(
			reader, node, INT64_MIN, INT64_MAX, at, field->name);
	case STUB_F64:
		if (type != JSON_INTEGER && type != JSON_REAL)
			return decode_result_ill_typed(reader, field->name, "is not a number");
		*(double *)at = json_scan_real(reader->json, node);
		return 0;
	default:
		return read_time(reader, node, at, field->name);
	}
}

static int read_texts(struct result_reader *reader, const struct stub_field *field, uint32_t node,
	const char *const **out, size_t *count)
{
	const struct json_node *list = &reader->json->nodes[node];
	const char **texts;
	uint32_t item = node + 1;

	if (list->type != JSON_ARRAY)
		return decode_result_ill_typed(reader, field->name, "is not an array");
	texts = arena_calloc(reader->arena, list->count + 1, sizeof *texts);
	if (texts == NULL)
		return decode_result_no_memory(reader);
	for (uint32_t i = 0; i < list->count; i++, item = reader->json->nodes[item].next) {
		int status = decode_result_read_text(reader, item, &texts[i], field->name);

		if (status != 0)
			return status;
	}
	*out = texts;
	*count = list->count;
	return 0;
}

static int read_counts(struct result_reader *reader, const struct stub_field *field, uint32_t node,
	const struct pierre_count **out, size_t *count)
{
	const struct json_node *map = &reader->json->nodes[node];
	struct pierre_count *counts;
	uint32_t item = node + 1;

	if (map->type != JSON_OBJECT)
		return decode_result_ill_typed(reader, field->name, "is not an object");
	counts = arena_calloc(reader->arena, map->count + 1, sizeof *counts);
	if (counts == NULL)
		return decode_result_no_memory(reader);
	for (uint32_t i = 0; i < map->count; i++, item = reader->json->nodes[item + 1].next) {
		int status = decode_result_read_text(reader, item, &counts[i].name, field->name);

		if (status == 0)
			status = decode_result_read_integer(reader, item + 1, INT64_MIN, INT64_MAX,
				&counts[i].count, field->name);
		if (status != 0)
			return status;
	}
	*out = counts;
	*count = map->count;
	return 0;
}

static int read_object(struct result_reader *reader, const struct stub_type *type, uint32_t node,
	char *base, const char *name);

/* Reads a value that the struct holds as a pointer. */
static int read_pointer(
	struct result_reader *reader, const struct stub_field *field, uint32_t node, char *base)
{
	char *at = base + field->offset, *inner;

	switch ((enum stub_kind)field->kind) {
	case STUB_TEXT:
		return decode_result_read_text(
			reader, node, (const char **)(void *)at, field->name);
	case STUB_TEXTS:
		return read_texts(reader, field, node, (const char *const **)(void *)at,
			(size_t *)(void *)(base + field->beside));
	case STUB_COUNTS:
		return read_counts(reader, field, node, (const struct pierre_count **)(void *)at,
			(size_t *)(void *)(base + field->beside));
	case STUB_OBJECT:
		inner = arena_calloc(reader->arena, 1, field->type->size);
		if (inner == NULL)
			return decode_result_no_memory(reader);
		memcpy(at, &inner, sizeof inner);
		return read_object(reader, field->type, node, inner, field->name);
	case STUB_OBJECT_TEXT:
		if (reader->json->nodes[node].type != JSON_OBJECT)
			return decode_result_ill_typed(reader, field->name, "is not an object");
		return read_json(reader, node, (const char **)(void *)at);
	default:
		return read_json(reader, node, (const char **)(void *)at);
	}
}

static int read_field(
	struct result_reader *reader, const struct stub_field *field, uint32_t node, char *base)
{
	bool optional = (field->flags & STUB_OPTIONAL) != 0;
	int status;

	if (node == 0 ||
		(reader->json->nodes[node].type == JSON_NULL &&
			(optional || field->kind != STUB_JSON)))
		return optional ? 0
				: decode_result_ill_typed(reader, field->name,
					  node == 0 ? "is missing" : "is null");
	if (field->kind > STUB_TIME)
		return read_pointer(reader, field, node, base);
	status = read_number(reader, field, node, base + field->offset);
	if (status == 0 && optional)
		*(bool *)(base + field->beside) = true;
	return status;
}

static bool has_name(const struct json *json, uint32_t node, const char *name)
{
	const struct json_node *found = &json->nodes[node];

	return found->length == strlen(name) &&
		memcmp(json->text + found->start, name, found->length) == 0 &&
		(found->flags & JSON_ESCAPED) == 0;
}

/* The daemon writes members in the order of the table, so that the next one is nearly always at the
 * cursor. */
static int read_object(struct result_reader *reader, const struct stub_type *type, uint32_t node,
	char *base, const char *name)
{
	const struct json *json = reader->json;
	uint32_t cursor = node + 1;

	if (json->nodes[node].type != JSON_OBJECT)
		return decode_result_ill_typed(reader, name, "is not an object");
	for (size_t i = 0; i < type->count; i++) {
		const struct stub_field *field = &type->fields[i];
		uint32_t value;
		int status;

		if (field->kind == STUB_WHOLE) {
			value = node;
		} else if (cursor < json->nodes[node].next && has_name(json, cursor, field->name)) {
			value = cursor + 1;
			cursor = json->nodes[value].next;
		} else {
			value = json_member(json, node, field->name, strlen(field->name));
		}
		status = read_field(reader, field, value, base);
		if (status != 0)
			return status;
	}
	return 0;
}

static int read_rows(struct result_reader *reader, const struct stub_type *type, uint32_t node,
	void **block, size_t *count)
{
	const struct json_node *list = &reader->json->nodes[node];
	uint32_t item = node + 1;

	if (list->type != JSON_ARRAY)
		return decode_result_ill_typed(reader, "the result", "is not an array");
	*count = list->count;
	if (list->count == 0)
		return 0;
	*block = block_new(list->count * type->size);
	if (*block == NULL)
		return decode_result_no_memory(reader);
	reader->arena = block_arena(*block);
	for (uint32_t i = 0; i < list->count; i++, item = reader->json->nodes[item].next) {
		int status =
			read_object(reader, type, item, (char *)*block + i * type->size, "a row");

		if (status != 0)
			return status;
	}
	return 0;
}

static int decode_result_read_row(
	struct result_reader *reader, const struct stub_type *type, uint32_t node, void **block)
{
	*block = block_new(type->size);
	if (*block == NULL)
		return decode_result_no_memory(reader);
	reader->arena = block_arena(*block);
	return read_object(reader, type, node, *block, "the result");
}

/* Copies a text to a block of its own. */
static int read_scalar_text(
	struct result_reader *reader, const struct stub_field *value, uint32_t node, void **block)
{
	enum json_type type = reader->json->nodes[node].type;
	size_t length;
	const char *text = decode_result_raw(reader->json, node, &length);

	if (value->kind == STUB_TEXT && type != JSON_STRING)
		return decode_result_ill_typed(reader, "the result", "is not a string");
	if (value->kind == STUB_OBJECT_TEXT && type != JSON_OBJECT)
		return decode_result_ill_typed(reader, "the result", "is not an object");
	if (value->kind == STUB_TEXT)
		text = json_scan_text(reader->json, node, &reader->scratch, &length);
	*block = text != NULL ? decode_result_text(text, length) : NULL;
	return *block != NULL ? 0 : decode_result_no_memory(reader);
}

static size_t number_size(enum stub_kind kind)
{
	switch (kind) {
	case STUB_BOOL:
		return sizeof(bool);
	case STUB_U16:
		return sizeof(uint16_t);
	case STUB_U32:
		return sizeof(uint32_t);
	default:
		return sizeof(int64_t); /* also double */
	}
}

static int read_result(struct result_reader *reader, const struct stub_method *method,
	uint32_t node, void **block, void *out, size_t *count)
{
	const struct stub_field *value = &method->value;
	union {
		bool b;
		uint16_t u16;
		uint32_t u32;
		int64_t i64;
		double f64;
	} number;
	int status;

	if (method->result == STUB_RESULT_ROWS)
		return read_rows(reader, value->type, node, block, count);
	if (reader->json->nodes[node].type == JSON_NULL && value->kind != STUB_JSON)
		return (value->flags & STUB_OPTIONAL) != 0
			? 0
			: decode_result_ill_typed(reader, "the result", "is null");
	if (method->result == STUB_RESULT_ROW)
		return decode_result_read_row(reader, value->type, node, block);
	if (value->kind > STUB_TIME)
		return read_scalar_text(reader, value, node, block);
	status = read_number(reader, value, node, &number);
	if (status == 0 && out != NULL)
		memcpy(out, &number, number_size(value->kind));
	return status;
}

int decode_result(const struct stub_method *method, const struct json *json, uint32_t node,
	void *out, size_t *count, struct pierre_error *error)
{
	struct result_reader reader = {.json = json, .error = error, .method = method->name};
	bool is_block = method->result != STUB_RESULT_VALUE || method->value.kind > STUB_TIME;
	void *block = NULL;
	size_t rows = 0;
	int status;

	if (method->result == STUB_RESULT_NONE)
		return 0;
	arena_init(&reader.scratch);
	reader.scratch.wipe = true;
	status = read_result(&reader, method, node, &block, out, &rows);
	arena_free(&reader.scratch);
	if (status != 0 || out == NULL) {
		decode_result_free(block);
		return status;
	}
	if (is_block)
		memcpy(out, &block, sizeof block);
	if (count != NULL)
		*count = rows;
	return 0;
}
