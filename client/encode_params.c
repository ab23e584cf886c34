/* Encodes argument structs as the params of a request. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "encode_params.h"
#include "failure.h"
#include "../protocol/wire/rpc.h"
#include "value.h"

struct writer {
	struct buffer *out;
	struct pierre_error *error;
	const char *prefix; /* of the path: "user." inside a parameter object */
	unsigned depth;     /* containers around the value */
};

static int encode_params_refuse(
	const struct writer *writer, const struct stub_field *field, const char *what)
{
	char path[PIERRE_PATH_SIZE];

	(void)snprintf(path, sizeof path, "%s%s", writer->prefix, field->name);
	return failure_param(writer->error, path, "%s %s", path, what);
}

int encode_params_json(struct buffer *out, const char *text, unsigned depth, bool object_only,
	const char *path, struct pierre_error *error)
{
	struct arena scratch;
	struct json json = {0};
	struct err err = {0};
	int status = 0;

	arena_init(&scratch);
	scratch.wipe = true;
	if (json_scan(&json, text, strlen(text), depth, &err) < 0)
		status = failure_param(error, path, "%s is not valid JSON for the daemon: %.200s",
			path, err.message);
	else if (object_only && json.nodes[0].type != JSON_OBJECT)
		status = failure_param(error, path, "%s must be a JSON object", path);
	else
		json_write_node(out, &json, 0, &scratch);
	json_scan_free(&json);
	arena_free(&scratch);
	return status;
}

static int encode_params_write_text(
	const struct writer *writer, const struct stub_field *field, const char *text)
{
	size_t length = strlen(text);

	if (!utf8_valid(text, length))
		return encode_params_refuse(writer, field, "is not valid UTF-8");
	json_write_string(writer->out, text, length);
	return 0;
}

static int write_texts(const struct writer *writer, const struct stub_field *field,
	const char *const *texts, size_t count)
{
	buffer_byte(writer->out, '[');
	for (size_t i = 0; i < count; i++) {
		int status;

		if (i > 0)
			buffer_byte(writer->out, ',');
		if (texts[i] == NULL)
			return encode_params_refuse(writer, field, "contains a NULL pointer");
		status = encode_params_write_text(writer, field, texts[i]);
		if (status != 0)
			return status;
	}
	buffer_byte(writer->out, ']');
	return 0;
}

static int write_real(const struct writer *writer, const struct stub_field *field, double value)
{
	if (!isfinite(value))
		return encode_params_refuse(writer, field, "must be a finite number");
	json_write_real(writer->out, value);
	return 0;
}

static int write_time(const struct writer *writer, const struct stub_field *field, int64_t value)
{
	char text[TIMESTAMP_TEXT_MAX];

	if (!timestamp_in_range(value))
		return encode_params_refuse(writer, field, "is outside the years 0000 to 9999");
	json_write_string(writer->out, text, timestamp_format(value, text));
	return 0;
}

static int encode_params_write_number(
	const struct writer *writer, const struct stub_field *field, const void *at)
{
	switch ((enum stub_kind)field->kind) {
	case STUB_BOOL:
		buffer_text(writer->out, *(const bool *)at ? "true" : "false");
		return 0;
	case STUB_U16:
		json_write_integer(writer->out, *(const uint16_t *)at);
		return 0;
	case STUB_U32:
		json_write_integer(writer->out, *(const uint32_t *)at);
		return 0;
	case STUB_I64:
		json_write_integer(writer->out, *(const int64_t *)at);
		return 0;
	case STUB_F64:
		return write_real(writer, field, *(const double *)at);
	default:
		return write_time(writer, field, *(const int64_t *)at);
	}
}

static bool encode_params_is_number(const struct stub_field *field)
{
	return field->kind <= STUB_TIME;
}

/* The address of the field's value, or NULL without a value. */
static const void *encode_params_value_of(const struct stub_field *field, const char *base)
{
	const void *pointer;

	if (encode_params_is_number(field) && (field->flags & STUB_BY_POINTER) == 0) {
		if ((field->flags & STUB_OPTIONAL) != 0 && !*(const bool *)(base + field->beside))
			return NULL;
		return base + field->offset;
	}
	memcpy(&pointer, base + field->offset, sizeof pointer);
	return pointer;
}

static int encode_params_write_object(
	const struct writer *writer, const struct stub_type *type, const char *base);

/* An array of structs. */
static int write_objects(const struct writer *writer, const struct stub_field *field,
	const char *objects, size_t count)
{
	char path[PIERRE_PATH_SIZE];
	struct writer inner = *writer;

	inner.prefix = path;
	inner.depth += 2;
	buffer_byte(writer->out, '[');
	for (size_t i = 0; i < count; i++) {
		int status;

		if (i > 0)
			buffer_byte(writer->out, ',');
		(void)snprintf(path, sizeof path, "%s%s[%zu].", writer->prefix, field->name, i);
		status = encode_params_write_object(
			&inner, field->type, objects + i * field->type->size);
		if (status != 0)
			return status;
	}
	buffer_byte(writer->out, ']');
	return 0;
}

static int encode_params_write_value(const struct writer *writer, const struct stub_field *field,
	const char *base, const void *value)
{
	char path[PIERRE_PATH_SIZE];
	struct writer inner = *writer;

	if (encode_params_is_number(field))
		return encode_params_write_number(writer, field, value);
	(void)snprintf(path, sizeof path, "%s%s", writer->prefix, field->name);
	switch ((enum stub_kind)field->kind) {
	case STUB_TEXT:
		return encode_params_write_text(writer, field, value);
	case STUB_TEXTS:
		return write_texts(writer, field, value,
			*(const size_t *)(const void *)(base + field->beside));
	case STUB_OBJECTS:
		return write_objects(writer, field, value,
			*(const size_t *)(const void *)(base + field->beside));
	case STUB_OBJECT:
		(void)snprintf(path, sizeof path, "%s%s.", writer->prefix, field->name);
		inner.prefix = path;
		inner.depth++;
		return encode_params_write_object(&inner, field->type, value);
	default:
		return encode_params_json(writer->out, value, RPC_DEPTH - writer->depth,
			field->kind == STUB_OBJECT_TEXT, path, writer->error);
	}
}

/* A required list may be empty, and then needs no pointer. */
static bool is_empty_list(const struct stub_field *field, const char *base)
{
	return field->kind == STUB_TEXTS && (field->flags & STUB_OPTIONAL) == 0 &&
		*(const size_t *)(const void *)(base + field->beside) == 0;
}

static int encode_params_write_object(
	const struct writer *writer, const struct stub_type *type, const char *base)
{
	bool first = true;

	buffer_byte(writer->out, '{');
	for (size_t i = 0; i < type->count; i++) {
		const struct stub_field *field = &type->fields[i];
		const void *value = encode_params_value_of(field, base);
		int status;

		if (value == NULL && !is_empty_list(field, base)) {
			if ((field->flags & STUB_OPTIONAL) != 0)
				continue;
			return encode_params_refuse(writer, field, "is missing");
		}
		if (!first)
			buffer_byte(writer->out, ',');
		first = false;
		json_write_string(writer->out, field->name, strlen(field->name));
		buffer_byte(writer->out, ':');
		status = encode_params_write_value(writer, field, base, value);
		if (status != 0)
			return status;
	}
	buffer_byte(writer->out, '}');
	return 0;
}

int encode_params(struct buffer *out, const struct stub_type *type, const void *args,
	struct pierre_error *error)
{
	struct writer writer = {.out = out, .error = error, .prefix = "", .depth = 2};

	return encode_params_write_object(&writer, type, args);
}
