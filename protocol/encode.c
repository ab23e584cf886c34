#include "encode.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "json/json.h"

static void write_quoted(struct buffer *out, const char *text, size_t length)
{
	buffer_byte(out, '"');
	buffer_append(out, text, length);
	buffer_byte(out, '"');
}

static int broken(const struct row_schema *row_schema, const char *member, struct err *err)
{
	(void)err_set(err, ERR_STORAGE, "the stored %s of a %s is invalid",
		member != NULL ? member : "value",
		row_schema->name[0] != '\0' ? row_schema->name : "row");
	(void)snprintf(err->field, sizeof err->field, "%s", member != NULL ? member : "document");
	return -1;
}

/* Scans a stored text as JSON; `want` is the required type, -1 for any. */
static int scan_stored(struct json *json, const struct value *value, int want)
{
	return json_scan(json, value->s.ptr, value->s.len, JSON_DEPTH_MAX, NULL) < 0 ||
			(want >= 0 && json->nodes[0].type != want)
		? -1
		: 0;
}

static int write_stored(struct buffer *out, const struct value *value, int want, bool strings,
	struct arena *scratch)
{
	struct json json = {0};
	int result = scan_stored(&json, value, want);

	for (uint32_t i = 1; strings && result == 0 && i < json.nodes[0].next;
		i = json.nodes[i].next)
		if (json.nodes[i].type != JSON_STRING)
			result = -1;
	if (result == 0)
		json_write_node(out, &json, 0, scratch);
	json_scan_free(&json);
	return result;
}

static bool named(const struct row_schema *row_schema, const char *name, size_t length)
{
	for (unsigned i = 0; i < row_schema->member_count; i++)
		if (row_schema->members[i].type != TYPE_REST &&
			strlen(row_schema->members[i].name) == length &&
			memcmp(row_schema->members[i].name, name, length) == 0)
			return true;
	return false;
}

/* The document's members that the row schema does not name. Each begins with a comma, since listed
 * ones precede them. */
static int write_rest(struct buffer *out, const struct row_schema *row_schema,
	const struct value *value, struct arena *scratch)
{
	struct json json = {0};
	int result = scan_stored(&json, value, JSON_OBJECT);

	for (uint32_t name = 1; result == 0 && name < json.nodes[0].next;
		name = json.nodes[name + 1].next) {
		size_t length;
		const char *text = json_scan_text(&json, name, scratch, &length);

		if (text == NULL) {
			out->failure = BUFFER_NO_MEMORY;
			break;
		}
		if (named(row_schema, text, length))
			continue;
		buffer_byte(out, ',');
		json_write_string(out, text, length);
		buffer_byte(out, ':');
		json_write_node(out, &json, name + 1, scratch);
	}
	json_scan_free(&json);
	return result;
}

static int write_members(struct buffer *out, const struct row_schema *row_schema,
	const struct member *members, unsigned count, const struct value *columns,
	struct arena *scratch, struct err *err);

static int encode_write_value(struct buffer *out, const struct row_schema *row_schema,
	const struct member *member, const struct value *columns, struct arena *scratch,
	struct err *err)
{
	const struct value *value = &columns[member->column];
	char text[TIMESTAMP_TEXT_MAX], uuid[UUID_TEXT];
	int result = 0;

	if (!value->set) {
		buffer_append(out, "null", 4);
		return 0;
	}
	switch ((enum type)member->type) {
	case TYPE_BOOL:
		buffer_text(out, value->i != 0 ? "true" : "false");
		break;
	case TYPE_U16:
	case TYPE_U32:
	case TYPE_I64:
		json_write_integer(out, value->i);
		break;
	case TYPE_F64:
		if (!isfinite(value->f)) /* a column can hold a value that JSON cannot */
			return broken(row_schema, member->name, err);
		json_write_real(out, value->f);
		break;
	case TYPE_TIMESTAMP:
		write_quoted(out, text, timestamp_format(value->i, text));
		break;
	case TYPE_UUID:
		if (uuid_parse(value->s.ptr, value->s.len, uuid))
			write_quoted(out, uuid, UUID_TEXT);
		else
			result = -1;
		break;
	case TYPE_STRINGS:
		result = write_stored(out, value, JSON_ARRAY, true, scratch);
		break;
	case TYPE_DOCUMENT:
	case TYPE_MAP:
		result = write_stored(out, value, JSON_OBJECT, false, scratch);
		break;
	case TYPE_JSON:
		result = write_stored(out, value, -1, false, scratch);
		break;
	case TYPE_OBJECT:
		return write_members(out, row_schema, member->members, member->member_count,
			columns, scratch, err);
	default:
		json_write_string(out, value->s.ptr, value->s.len);
		break;
	}
	return result < 0 ? broken(row_schema, member->name, err) : 0;
}

static int write_members(struct buffer *out, const struct row_schema *row_schema,
	const struct member *members, unsigned count, const struct value *columns,
	struct arena *scratch, struct err *err)
{
	bool first = true;

	buffer_byte(out, '{');
	for (unsigned i = 0; i < count; i++) {
		const struct member *member = &members[i];

		if ((member->flags & MEMBER_HIDDEN) != 0)
			continue;
		if (member->type == TYPE_REST) {
			if (columns[member->column].set &&
				write_rest(out, row_schema, &columns[member->column], scratch) < 0)
				return broken(row_schema, "document", err);
			continue;
		}
		if (!first)
			buffer_byte(out, ',');
		first = false;
		buffer_append(out, member->key, member->key_length);
		if (encode_write_value(out, row_schema, member, columns, scratch, err) < 0)
			return -1;
	}
	buffer_byte(out, '}');
	return 0;
}

int encode_row(struct buffer *out, const struct row_schema *row_schema, const struct value *columns,
	struct arena *scratch, struct err *err)
{
	if (row_schema->scalar)
		return encode_write_value(
			out, row_schema, &row_schema->members[0], columns, scratch, err);
	return write_members(out, row_schema, row_schema->members, row_schema->member_count,
		columns, scratch, err);
}
