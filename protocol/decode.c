#include "decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* State of one decoding. */
struct decode {
	const struct method *method;
	const struct json *json;
	struct arena *arena;
	struct value *values;
	int64_t now;
	struct err *err;
};

static const char *const type_names[] = {
	[TYPE_NULL] = "null",
	[TYPE_BOOL] = "a boolean",
	[TYPE_F64] = "a number",
	[TYPE_STRING] = "a string",
	[TYPE_UUID] = "a UUID",
	[TYPE_TIMESTAMP] = "an RFC 3339 time with an offset, such as 2025-06-19T15:44:49.123456Z",
	[TYPE_IP] = "a string of at most 255 bytes",
	[TYPE_STRINGS] = "an array of strings",
	[TYPE_DOCUMENT] = "an object",
	[TYPE_OBJECT] = "an object",
	[TYPE_SEALED] = "a string",
	[TYPE_CALLS] = "an array of calls",
};

static int decode_no_memory(struct decode *d)
{
	return err_set(d->err, ERR_INTERNAL, "out of memory");
}

static int none_of(struct decode *d, const struct field *field)
{
	char values[128] = "";
	size_t length = 0;

	for (const char *const *name = field->enumeration->values;
		*name != NULL && length < sizeof values; name++)
		length += (size_t)snprintf(values + length, sizeof values - length, "%s%s",
			length > 0 ? ", " : "", *name);
	return err_set_path(d->err, ERR_INVALID_PARAMS, field->path, "%s must be one of %s",
		field->path, values);
}

static int decode_ill_typed(struct decode *d, const struct field *field)
{
	if (field->type == TYPE_ENUM)
		return none_of(d, field);
	return err_set_path(d->err, ERR_INVALID_PARAMS, field->path, "%s must be %s", field->path,
		type_names[field->type]);
}

/* "user" and "foo" -> "user.foo", for an unknown member. */
static int unknown(struct decode *d, const char *parent, const char *name, size_t length)
{
	char path[ERR_PATH_MAX];

	(void)snprintf(path, sizeof path, "%s%s%.*s", parent, *parent != '\0' ? "." : "",
		(int)(length > 200 ? 200 : length), name);
	return err_set_path(d->err, ERR_INVALID_PARAMS, path, "there is no parameter \"%s\"", path);
}

static void decode_set_text(struct value *value, const char *text, size_t length)
{
	value->set = true;
	value->s.ptr = text;
	value->s.len = length;
}

static int apply_default(
	struct decode *d, const struct default_value *fallback, struct value *value)
{
	value->set = true;
	switch (fallback->kind) {
	case DEFAULT_NONE:
		value->set = false;
		break;
	case DEFAULT_INTEGER:
		value->i = fallback->integer;
		break;
	case DEFAULT_REAL:
		value->f = fallback->real;
		break;
	case DEFAULT_TEXT:
		decode_set_text(value, fallback->text, strlen(fallback->text));
		break;
	case DEFAULT_NOW:
		value->i = d->now;
		break;
	case DEFAULT_NEW_UUID: {
		char *text = arena_alloc(d->arena, UUID_TEXT);

		if (text == NULL)
			return decode_no_memory(d);
		uuid_new(text);
		decode_set_text(value, text, UUID_TEXT);
		break;
	}
	}
	return 0;
}

/* The node in compact form, as stored. */
static int decode_compact(struct decode *d, uint32_t node, struct value *value)
{
	struct arena scratch = {.wipe = d->arena->wipe};
	struct buffer text = {0};
	char *copy = NULL;

	(void)buffer_reserve(&text, d->json->nodes[node].length);
	json_write_node(&text, d->json, node, &scratch);
	arena_free(&scratch);
	if (text.failure == BUFFER_OK)
		copy = arena_copy(d->arena, text.data, text.length);
	if (copy != NULL)
		decode_set_text(value, copy, text.length);
	if (text.data != NULL)
		buffer_wipe(&text);
	buffer_free(&text);
	if ((d->json->nodes[node].flags & JSON_AWKWARD) != 0 &&
		d->json->nodes[node].type != JSON_STRING)
		value->flags |= VALUE_AWKWARD;
	return copy != NULL ? 0 : decode_no_memory(d);
}

static bool is_email(const char *text, size_t length)
{
	const char *at = memchr(text, '@', length);

	return at != NULL && at > text && at + 1 < text + length &&
		memchr(at + 1, '@', (size_t)(text + length - at - 1)) == NULL;
}

static int decode_text(
	struct decode *d, const struct field *field, uint32_t node, struct value *value)
{
	size_t length;
	const char *text;

	if (d->json->nodes[node].type != JSON_STRING)
		return decode_ill_typed(d, field);
	text = json_scan_text(d->json, node, d->arena, &length);
	if (text == NULL)
		return decode_no_memory(d);
	decode_set_text(value, text, length);
	if (field->max > 0 && length > (uint64_t)field->max)
		return err_set_path(d->err, ERR_INVALID_PARAMS, field->path,
			"%s is longer than %lld bytes", field->path, (long long)field->max);
	if ((field->flags & FIELD_EMAIL) != 0 && !is_email(text, length))
		return err_set_path(d->err, ERR_INVALID_PARAMS, field->path,
			"%s must hold one @ with text around it", field->path);
	return 0;
}

/* The error of a time, as specific as possible. */
static int no_time(struct decode *d, const struct field *field, const struct value *value)
{
	char problem[TIMESTAMP_PROBLEM_MAX];

	if (!timestamp_problem(value->s.ptr, value->s.len, problem))
		return decode_ill_typed(d, field);
	return err_set_path(d->err, ERR_INVALID_PARAMS, field->path, "%s %s", field->path, problem);
}

/* Strings of a narrower type: the text is already set. */
static int decode_special(
	struct decode *d, const struct field *field, uint32_t node, struct value *value)
{
	size_t length;
	char *text;

	if (decode_text(d, field, node, value) < 0)
		return -1;
	switch ((enum type)field->type) {
	case TYPE_UUID:
		text = arena_alloc(d->arena, UUID_TEXT);
		if (text == NULL)
			return decode_no_memory(d);
		if (!uuid_parse(value->s.ptr, value->s.len, text))
			return decode_ill_typed(d, field);
		decode_set_text(value, text, UUID_TEXT);
		return 0;
	case TYPE_IP:
		text = arena_alloc(d->arena, 46);
		if (text == NULL)
			return decode_no_memory(d);
		if (ip_parse(value->s.ptr, value->s.len, text, &length))
			decode_set_text(value, text, length);
		else if (value->s.len <= IP_MAX)
			value->flags |= VALUE_AWKWARD;
		else
			return decode_ill_typed(d, field);
		return 0;
	case TYPE_ENUM:
		for (const char *const *name = field->enumeration->values; *name != NULL; name++)
			if (strlen(*name) == value->s.len &&
				memcmp(*name, value->s.ptr, value->s.len) == 0)
				return 0;
		return none_of(d, field);
	default: {
		int64_t micros;

		if (!timestamp_parse(value->s.ptr, value->s.len, &micros))
			return no_time(d, field, value);
		value->i = micros;
		return 0;
	}
	}
}

static int decode_integer(
	struct decode *d, const struct field *field, uint32_t node, struct value *value)
{
	if (d->json->nodes[node].type == JSON_INTEGER) {
		value->set = true;
		value->i = json_scan_integer(d->json, node);
		if (value->i >= field->min && value->i <= field->max)
			return 0;
	}
	return err_set_path(d->err, ERR_INVALID_PARAMS, field->path,
		"%s must be an integer from %lld to %lld", field->path, (long long)field->min,
		(long long)field->max);
}

static int decode_strings(
	struct decode *d, const struct field *field, uint32_t node, struct value *value)
{
	const struct json *json = d->json;

	if (json->nodes[node].type != JSON_ARRAY)
		return decode_ill_typed(d, field);
	for (uint32_t item = node + 1, place = 0; item < json->nodes[node].next;
		item = json->nodes[item].next, place++)
		if (json->nodes[item].type != JSON_STRING) {
			char path[ERR_PATH_MAX];

			(void)snprintf(path, sizeof path, "%s[%u]", field->path, (unsigned)place);
			return err_set_path(
				d->err, ERR_INVALID_PARAMS, path, "%s must be a string", path);
		}
	return decode_compact(d, node, value);
}

/* NOLINTNEXTLINE(readability-function-cognitive-complexity): one pass that follows two orders. */
static int decode_extracts(struct decode *d, const struct field *field, uint32_t node)
{
	for (unsigned i = 0; i < field->extract_count; i++) {
		const struct extract *extract = &field->extracts[i];
		struct value *value = &d->values[extract->bind];
		uint32_t chosen = 0;

		for (const char *const *name = extract->names; *name != NULL; name++) {
			uint32_t member = json_member(d->json, node, *name, strlen(*name));
			char path[ERR_PATH_MAX];

			if (member == 0 || d->json->nodes[member].type == JSON_NULL)
				continue;
			(void)snprintf(path, sizeof path, "%s.%s", field->path, *name);
			const struct field known = {.name = *name,
				.path = path,
				.type = extract->type,
				.flags = FIELD_OPTIONAL};
			uint8_t type = d->json->nodes[member].type;
			if (extract->type == TYPE_STRING
					? type != JSON_STRING
					: type != JSON_INTEGER && type != JSON_REAL)
				return decode_ill_typed(d, &known);
			if (chosen == 0)
				chosen = member;
		}
		if (chosen == 0) {
			if (apply_default(d, &extract->fallback, value) < 0)
				return -1;
		} else if (extract->type == TYPE_F64) {
			value->set = true;
			value->f = json_scan_real(d->json, chosen) + 0.0;
		} else {
			size_t length;
			const char *text = json_scan_text(d->json, chosen, d->arena, &length);

			if (text == NULL)
				return decode_no_memory(d);
			decode_set_text(value, text, length);
		}
	}
	return 0;
}

static int decode_object(struct decode *d, const struct field *fields, unsigned count,
	const char *parent, uint32_t node);
static int check_exactly_one(struct decode *d, const struct field *field);

/* "usages[]" -> "usages[3]" */
static void number_row(char *text, size_t size, uint32_t row)
{
	char *mark = strstr(text, "[]"), rest[ERR_MESSAGE_MAX];

	if (mark == NULL)
		return;
	(void)snprintf(rest, sizeof rest, "%s", mark + 1);
	(void)snprintf(mark, size - (size_t)(mark - text), "[%u%s", (unsigned)row, rest);
}

/* The values point into the line, which is not kept whole when it is long. */
static int keep_row(struct decode *d)
{
	for (unsigned i = 0; i < d->method->row_binds; i++) {
		struct value *value = &d->values[i];
		uint8_t type = d->method->binds[i].type;

		if (!value->set || (type != TYPE_STRING && type != TYPE_ENUM && type != TYPE_IP))
			continue;
		value->s.ptr = arena_copy(d->arena, value->s.ptr, value->s.len);
		if (value->s.ptr == NULL)
			return decode_no_memory(d);
	}
	return 0;
}

static int decode_row(struct decode *d, const struct field *field, uint32_t node, uint32_t row)
{
	char path[ERR_PATH_MAX];

	if (d->json->nodes[node].type != JSON_OBJECT) {
		(void)snprintf(path, sizeof path, "%s[%u]", field->path, (unsigned)row);
		return err_set_path(d->err, ERR_INVALID_PARAMS, path, "%s must be an object", path);
	}
	(void)snprintf(path, sizeof path, "%s[]", field->path);
	if (decode_object(d, field->members, field->member_count, path, node) < 0) {
		number_row(d->err->path, sizeof d->err->path, row);
		number_row(d->err->message, sizeof d->err->message, row);
		return -1;
	}
	return keep_row(d);
}

static int decode_rows(struct decode *d, const struct field *field, uint32_t node)
{
	const struct json_node *array = &d->json->nodes[node];
	const size_t width = d->method->row_binds;
	struct value *rows;
	uint32_t row = 0;

	if (array->type != JSON_ARRAY || array->count < field->min || array->count > field->max)
		return err_set_path(d->err, ERR_INVALID_PARAMS, field->path,
			"%s must be an array of %lld to %lld objects", field->path,
			(long long)field->min, (long long)field->max);
	rows = arena_calloc(d->arena, array->count * width, sizeof *rows);
	if (rows == NULL)
		return decode_no_memory(d);
	for (uint32_t item = node + 1; item < array->next; item = d->json->nodes[item].next) {
		memset(d->values, 0, width * sizeof *rows);
		if (decode_row(d, field, item, row) < 0)
			return -1;
		memcpy(&rows[row++ * width], d->values, width * sizeof *rows);
	}
	decode_set_text(&d->values[field->bind], (const char *)rows, array->count);
	return 0;
}

/* Decodes a given value, not null unless the type accepts null. */
static int decode_given(struct decode *d, const struct field *field, uint32_t node)
{
	struct value none, *value = field->bind >= 0 ? &d->values[field->bind] : &none;
	uint8_t type = d->json->nodes[node].type;

	switch ((enum type)field->type) {
	case TYPE_ANY:
		return 0;
	case TYPE_CALLS:
		return type == JSON_ARRAY ? 0 : decode_ill_typed(d, field);
	case TYPE_NULL:
		return type == JSON_NULL ? 0 : decode_ill_typed(d, field);
	case TYPE_BOOL:
		if (type != JSON_TRUE && type != JSON_FALSE)
			return decode_ill_typed(d, field);
		value->set = true;
		value->i = type == JSON_TRUE;
		return 0;
	case TYPE_U16:
	case TYPE_U32:
	case TYPE_I64:
		return decode_integer(d, field, node, value);
	case TYPE_F64:
		if (type != JSON_INTEGER && type != JSON_REAL)
			return decode_ill_typed(d, field);
		value->set = true;
		value->f = json_scan_real(d->json, node) +
			0.0; /* -0.0 becomes 0.0: SQLite's columns do not keep its sign */
		return 0;
	case TYPE_STRING:
	case TYPE_SEALED:
		return decode_text(d, field, node, value);
	case TYPE_STRINGS:
		return decode_strings(d, field, node, value);
	case TYPE_DOCUMENT:
		if (type != JSON_OBJECT)
			return decode_ill_typed(d, field);
		return decode_compact(d, node, value) < 0 ? -1 : decode_extracts(d, field, node);
	case TYPE_JSON:
		return decode_compact(d, node, value);
	case TYPE_ROWS:
		return decode_rows(d, field, node);
	case TYPE_OBJECT:
		if (type != JSON_OBJECT)
			return decode_ill_typed(d, field);
		return decode_object(d, field->members, field->member_count, field->path, node) < 0
			? -1
			: check_exactly_one(d, field);
	default:
		return decode_special(d, field, node, value);
	}
}

/* Decodes a value (node) or its absence (0); null counts as missing where the field is optional. */
static int decode_field(struct decode *d, const struct field *field, uint32_t node)
{
	bool optional = (field->flags & FIELD_OPTIONAL) != 0;

	if (node != 0 && (!optional || d->json->nodes[node].type != JSON_NULL))
		return decode_given(d, field, node);
	if (!optional && field->fallback.kind == DEFAULT_NONE)
		return err_set_path(
			d->err, ERR_INVALID_PARAMS, field->path, "%s is missing", field->path);
	return field->bind >= 0 ? apply_default(d, &field->fallback, &d->values[field->bind]) : 0;
}

static const struct field *decode_find(
	const struct field *fields, unsigned count, const char *name, size_t length)
{
	for (unsigned i = 0; i < count; i++)
		if (fields[i].name_length == length && memcmp(fields[i].name, name, length) == 0)
			return &fields[i];
	return NULL;
}

static int decode_object(struct decode *d, const struct field *fields, unsigned count,
	const char *parent, uint32_t node)
{
	uint32_t given[CATALOG_MAX_VALUES] = {0};

	for (uint32_t name = node + 1; name < d->json->nodes[node].next;
		name = d->json->nodes[name + 1].next) {
		size_t length;
		const char *text = json_scan_text(d->json, name, d->arena, &length);
		const struct field *field;

		if (text == NULL)
			return decode_no_memory(d);
		field = decode_find(fields, count, text, length);
		if (field == NULL)
			return unknown(d, parent, text, length);
		given[field - fields] = name + 1;
	}
	for (unsigned i = 0; i < count; i++)
		if (decode_field(d, &fields[i], given[i]) < 0)
			return -1;
	return 0;
}

static int check_exactly_one(struct decode *d, const struct field *field)
{
	unsigned given = 0;

	if (field->exactly_one == NULL)
		return 0;
	for (const char *const *name = field->exactly_one; *name != NULL; name++) {
		const struct field *member =
			decode_find(field->members, field->member_count, *name, strlen(*name));

		given += d->values[member->bind].set;
	}
	if (given == 1)
		return 0;
	const struct field *first = decode_find(field->members, field->member_count,
		field->exactly_one[0], strlen(field->exactly_one[0]));
	return err_set_path(d->err, ERR_INVALID_PARAMS, first->path,
		"exactly one of %s and %s must be given", field->exactly_one[0],
		field->exactly_one[1]);
}

static int decode_positional(struct decode *d, uint32_t params)
{
	const struct method *method = d->method;
	const struct json_node *nodes = d->json->nodes;
	uint32_t item = params + 1;

	if (nodes[params].count > method->param_count) {
		char path[32];

		(void)snprintf(path, sizeof path, "params[%u]", (unsigned)method->param_count);
		return err_set_path(d->err, ERR_INVALID_PARAMS, path,
			"%s takes %u parameter%s, not %u", method->name,
			(unsigned)method->param_count, method->param_count == 1 ? "" : "s",
			(unsigned)nodes[params].count);
	}
	for (unsigned i = 0; i < method->param_count; i++) {
		bool given = item < nodes[params].next;

		if (decode_field(d, &method->params[i], given ? item : 0) < 0)
			return -1;
		if (given)
			item = nodes[item].next;
	}
	return 0;
}

int decode_params(const struct method *method, const struct json *json, uint32_t params,
	int64_t now, struct arena *arena, struct value *values, struct err *err)
{
	struct decode d = {method, json, arena, values, now, err};

	memset(values, 0, method->bind_count * sizeof *values);
	if (params != DECODE_NO_PARAMS && json->nodes[params].type == JSON_ARRAY)
		return decode_positional(&d, params);
	if (params != DECODE_NO_PARAMS)
		return decode_object(&d, method->params, method->param_count, "", params);
	for (unsigned i = 0; i < method->param_count; i++)
		if (decode_field(&d, &method->params[i], 0) < 0)
			return -1;
	return 0;
}
