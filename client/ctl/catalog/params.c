/* `user.email=ana@example.com limit:=5` -> {"user":{"email":"ana@example.com"},"limit":5}. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../output.h"
#include "../text.h"
#include "params.h"
#include "catalog.h"
#include "../ctl.h"
#include "../../../protocol/json/json.h"
#include "nearest.h"

/* One argument: the path of its value, and the value as JSON text. */
struct entry {
	char *path;
	struct buffer json;
};

static int suggest(
	const char *what, const char *name, const struct nearest *nearest, const char *where)
{
	const char *near = nearest_name(nearest);

	if (near != NULL)
		return output_fail(
			EX_USAGE, "%s \"%s\"%s; did you mean \"%s\"?", what, name, where, near);
	return output_fail(EX_USAGE, "%s \"%s\"%s", what, name, where);
}

const struct method *params_find_method(const char *name)
{
	const struct method *method = catalog_find(name, strlen(name));
	struct nearest nearest = {.wanted = name};

	if (method != NULL)
		return method;
	for (size_t i = 0; i < catalog_method_count; i++)
		nearest_offer(&nearest, catalog_methods[i].name);
	(void)suggest("unknown method", name, &nearest, "");
	output_hint("`pierre-dbctl methods` lists all methods\n");
	return NULL;
}

static const struct field *find_field(
	const struct field *fields, size_t count, const char *name, size_t length)
{
	for (size_t i = 0; i < count; i++)
		if (fields[i].name_length == length && memcmp(fields[i].name, name, length) == 0)
			return &fields[i];
	return NULL;
}

static int list_fields(const struct field *fields, size_t count, const char *owner)
{
	output_hint("%s accepts:", owner);
	for (size_t i = 0; i < count; i++)
		output_hint(" %s%s", fields[i].name,
			(fields[i].flags & FIELD_OPTIONAL) != 0 ? "?" : "");
	output_hint("%s", count == 0 ? " no parameters\n" : "\n");
	return EX_USAGE;
}

static int unknown_field(
	const char *wanted, const struct field *fields, size_t count, const char *owner)
{
	struct nearest nearest = {.wanted = wanted};

	for (size_t i = 0; i < count; i++)
		nearest_offer(&nearest, fields[i].name);
	(void)suggest("unknown parameter", wanted, &nearest, "");
	return list_fields(fields, count, owner);
}

/* Finds the field of a path; *field is NULL inside a free-form document. */
static int resolve(const struct method *method, const char *path, const struct field **field)
{
	const struct field *fields = method->params;
	size_t count = method->param_count;
	const char *owner = method->name;

	for (;;) {
		size_t length = strcspn(path, ".");

		*field = find_field(fields, count, path, length);
		if (*field == NULL)
			return unknown_field(path, fields, count, owner);
		if (path[length] == '\0')
			return 0;
		path += length + 1;
		owner = (*field)->name;
		if ((*field)->type == TYPE_DOCUMENT || (*field)->type == TYPE_JSON) {
			*field = NULL;
			return 0;
		}
		if ((*field)->type != TYPE_OBJECT)
			return output_fail(EX_USAGE, "%s has no members", owner);
		fields = (*field)->members;
		count = (*field)->member_count;
	}
}

static bool params_is_number(const char *text, bool whole)
{
	struct json json = {0};
	struct err err;
	bool good = json_scan(&json, text, strlen(text), 1, &err) == 0 &&
		(json.nodes[0].type == JSON_INTEGER ||
			(!whole && json.nodes[0].type == JSON_REAL)) &&
		json.nodes[0].length == strlen(text);

	json_scan_free(&json);
	return good;
}

static void write_list(struct buffer *out, const char *text)
{
	buffer_byte(out, '[');
	while (*text != '\0') {
		size_t length = strcspn(text, ",");

		json_write_string(out, text, length);
		text += length;
		if (*text == ',') {
			text++;
			buffer_byte(out, ',');
			if (*text == '\0')
				json_write_string(out, "", 0);
		}
	}
	buffer_byte(out, ']');
}

static int check_enum(const struct field *field, const char *text)
{
	struct nearest nearest = {.wanted = text};

	for (const char *const *value = field->enumeration->values; *value != NULL; value++) {
		if (strcmp(*value, text) == 0)
			return 0;
		nearest_offer(&nearest, *value);
	}
	(void)suggest(field->path, text, &nearest, " is not one of its values");
	return EX_USAGE;
}

bool params_takes_json(const struct field *field)
{
	return field->type == TYPE_DOCUMENT || field->type == TYPE_JSON ||
		field->type == TYPE_CALLS || field->type == TYPE_ROWS;
}

static int params_ill_typed(const struct field *field, const char *text, const char *type)
{
	if ((field->flags & FIELD_SECRET) != 0)
		text = "(hidden)";
	return output_fail(EX_USAGE, "%s must be %s, not \"%s\"", field->path, type, text);
}

/* Converts a text to the parameter's type. */
static int write_typed(
	struct buffer *out, const struct field *field, const char *text, size_t length)
{
	switch ((enum type)field->type) {
	case TYPE_BOOL:
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			return params_ill_typed(field, text, "true or false");
		break;
	case TYPE_U16:
	case TYPE_U32:
	case TYPE_I64:
		if (!params_is_number(text, true))
			return params_ill_typed(field, text, "a whole number");
		break;
	case TYPE_F64:
		if (!params_is_number(text, false))
			return params_ill_typed(field, text, "a number");
		break;
	case TYPE_STRINGS:
		write_list(out, text);
		return 0;
	case TYPE_DOCUMENT:
	case TYPE_OBJECT:
	case TYPE_ROWS:
	case TYPE_CALLS:
		break; /* JSON; the library checks it */
	case TYPE_NULL:
		return output_fail(
			EX_USAGE, "%s can only be null: %s:=null", field->path, field->path);
	case TYPE_ENUM:
		if (check_enum(field, text) != 0)
			return EX_USAGE;
		json_write_string(out, text, length);
		return 0;
	default:
		json_write_string(out, text, length);
		return 0;
	}
	buffer_append(out, text, length);
	return 0;
}

static int params_check_json(const char *path, const char *text)
{
	struct json json = {0};
	struct err err;
	int status = json_scan(&json, text, strlen(text), 64, &err);

	json_scan_free(&json);
	return status == 0 ? 0 : output_fail(EX_USAGE, "%s: not valid JSON: %s", path, err.message);
}

/* value: `text`, `@file`, `@-`, or `@@…` for a text that begins with @. One trailing newline of the
 * file is removed. */
static int value_text(const char *value, char **text, size_t *length)
{
	if (value[0] == '@' && value[1] != '@' && value[1] != '\0') {
		*text = text_of_file(value + 1, length);
		if (*text == NULL)
			return EX_NOINPUT;
		if (strlen(*text) != *length)
			return output_fail(EX_DATAERR, "%s: contains a NUL byte", value + 1);
		if (*length > 0 && (*text)[*length - 1] == '\n')
			(*text)[--*length] = '\0';
		return 0;
	}
	*text = strdup(value[0] == '@' && value[1] == '@' ? value + 1 : value);
	*length = *text != NULL ? strlen(*text) : 0;
	return *text != NULL ? 0 : output_fail(EX_OSERR, "out of memory");
}

static int fill_entry(
	const struct method *method, struct entry *entry, char *text, size_t length, bool is_json)
{
	const struct field *field = NULL;
	int status = 0;

	if (!utf8_valid(text, length))
		return output_fail(EX_USAGE, "%s: not valid UTF-8", entry->path);
	if (method != NULL)
		status = resolve(method, entry->path, &field);
	if (status != 0)
		return status;
	if (is_json)
		buffer_append(&entry->json, text, length);
	else if (field != NULL)
		status = write_typed(&entry->json, field, text, length);
	else
		json_write_string(&entry->json, text, length);
	buffer_byte(&entry->json, '\0');
	if (status == 0 && entry->json.failure != BUFFER_OK)
		return output_fail(EX_OSERR, "out of memory");
	return status != 0 ? status : params_check_json(entry->path, entry->json.data);
}

static int no_entry(const struct method *method, const char *argument)
{
	if (strcmp(argument, "-") == 0 || *argument == '@')
		return output_fail(EX_USAGE,
			"%s supplies all parameters: no other argument is allowed", argument);
	(void)output_fail(EX_USAGE,
		"\"%s\" is not a parameter: write name=text, name:=json, @file or -", argument);
	return method != NULL ? list_fields(method->params, method->param_count, method->name)
			      : EX_USAGE;
}

static int params_read_entry(const struct method *method, const char *argument, struct entry *entry)
{
	const char *equals = strchr(argument, '=');
	bool is_json;
	size_t length;
	char *text = NULL;
	int status;

	if (equals == NULL || equals == argument || (equals == argument + 1 && *argument == ':'))
		return no_entry(method, argument);
	is_json = equals[-1] == ':';
	entry->path = strndup(argument, (size_t)(equals - argument) - is_json);
	if (entry->path == NULL)
		return output_fail(EX_OSERR, "out of memory");
	status = value_text(equals + 1, &text, &length);
	if (status == 0)
		status = fill_entry(method, entry, text, length, is_json);
	if (text != NULL)
		explicit_bzero(text, strlen(text)); /* may contain a password */
	free(text);
	return status;
}

/* Refuses two paths that are equal, or of which one contains the other. */
static int check_paths(const struct entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			size_t length = strlen(entries[i].path);

			if (i != j && strncmp(entries[i].path, entries[j].path, length) == 0 &&
				(entries[j].path[length] == '\0' || entries[j].path[length] == '.'))
				return output_fail(EX_USAGE, "%s is given twice", entries[i].path);
		}
	}
	return 0;
}

/* Writes an object of all entries whose path begins with `prefix` (of that length). */
static void params_write_object(struct buffer *out, const struct entry *entries, size_t count,
	const char *prefix, size_t length)
{
	bool first = true;

	buffer_byte(out, '{');
	for (size_t i = 0; i < count; i++) {
		const char *name = entries[i].path + length;
		size_t name_length, before = 0;

		if (strncmp(entries[i].path, prefix, length) != 0)
			continue;
		name_length = strcspn(name, ".");
		while (before < i &&
			strncmp(entries[before].path, entries[i].path, length + name_length + 1) !=
				0)
			before++;
		if (before < i)
			continue; /* already written with an earlier entry */
		if (!first)
			buffer_byte(out, ',');
		first = false;
		json_write_string(out, name, name_length);
		buffer_byte(out, ':');
		if (name[name_length] == '.')
			params_write_object(
				out, entries, count, entries[i].path, length + name_length + 1);
		else
			buffer_text(out, entries[i].json.data);
	}
	buffer_byte(out, '}');
}

static int whole_params(const char *argument, char **params)
{
	size_t length;

	*params = text_of_file(*argument == '@' ? argument + 1 : argument, &length);
	if (*params == NULL)
		return EX_NOINPUT;
	if (strlen(*params) == length)
		return params_check_json(argument, *params);
	return output_fail(EX_DATAERR, "%s: contains a NUL byte", argument);
}

static int json_params(const char *argument, char **params)
{
	*params = strdup(argument);
	return *params != NULL ? params_check_json("the parameters", *params)
			       : output_fail(EX_OSERR, "out of memory");
}

static int params_gather(
	const struct method *method, int argc, char **argv, struct entry *entries, char **params)
{
	struct buffer out = {0};
	int status = 0;

	for (int i = 0; i < argc && status == 0; i++)
		status = params_read_entry(method, argv[i], &entries[i]);
	if (status == 0)
		status = check_paths(entries, (size_t)argc);
	if (status != 0)
		return status;
	params_write_object(&out, entries, (size_t)argc, "", 0);
	buffer_byte(&out, '\0');
	if (out.failure != BUFFER_OK) {
		buffer_free(&out);
		return output_fail(EX_OSERR, "out of memory");
	}
	*params = out.data;
	return 0;
}

int params_from_arguments(const struct method *method, int argc, char **argv, char **params)
{
	struct entry *entries;
	int status;

	*params = NULL;
	if (argc == 0)
		return 0;
	if (argc == 1 && (argv[0][0] == '{' || argv[0][0] == '['))
		return json_params(argv[0], params);
	if (argc == 1 && (strcmp(argv[0], "-") == 0 || argv[0][0] == '@'))
		return whole_params(argv[0], params);
	entries = calloc((size_t)argc, sizeof *entries);
	if (entries == NULL)
		return output_fail(EX_OSERR, "out of memory");
	status = params_gather(method, argc, argv, entries, params);
	for (int i = 0; i < argc; i++) {
		free(entries[i].path);
		if (entries[i].json.data != NULL)
			explicit_bzero(entries[i].json.data, entries[i].json.length);
		buffer_free(&entries[i].json);
	}
	free(entries);
	return status;
}
