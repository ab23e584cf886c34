/* Rows in their canonical form, which both databases must agree on. */
#include "row.h"

#include <math.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "../../protocol/catalog.h"
#include "../../protocol/json/json.h"

int row_column_place(const struct table_of *table, const char *name)
{
	for (unsigned i = 0; i < table->column_count; i++)
		if (strcmp(table->columns[i].name, name) == 0)
			return (int)i;
	abort();
}

int row_fail(const struct table_of *table, const struct value *values, const char *shown,
	struct err *err, const char *format, ...)
{
	enum kind kind = table->columns[0].kind;
	char what[160], id[80];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	if (kind == COLUMN_INTEGER)
		(void)snprintf(id, sizeof id, "%lld", (long long)values[0].i);
	else
		(void)snprintf(id, sizeof id, "%.*s", values[0].set ? (int)values[0].s.len : 0,
			values[0].set ? values[0].s.ptr : "");
	return err_exit(err, EX_DATAERR, "%s, table %s, row %s: %s", shown, table->name, id, what);
}

static bool normalize_strings(struct value *value, struct arena *arena)
{
	struct json json = {0};
	struct buffer compact = {0};
	bool good = json_scan(&json, value->s.ptr, value->s.len, JSON_DEPTH_MAX, NULL) == 0 &&
		json.nodes[0].type == JSON_ARRAY;

	for (uint32_t item = 1; good && item < json.nodes[0].next; item = json.nodes[item].next)
		good = json.nodes[item].type == JSON_STRING;
	if (good) {
		json_write_node(&compact, &json, 0, arena);
		value->s.ptr = arena_copy(arena, compact.data, compact.length);
		value->s.len = compact.length;
		good = value->s.ptr != NULL && compact.failure == BUFFER_OK;
	}
	buffer_free(&compact);
	json_scan_free(&json);
	return good;
}

/* The text stays unchanged; it only has to be JSON. */
static bool row_check_json(struct value *value)
{
	struct json json = {0};
	bool good = json_scan(&json, value->s.ptr, value->s.len, JSON_DEPTH_MAX, NULL) == 0;

	value->flags = good && (json.nodes[0].flags & JSON_AWKWARD) != 0 ? VALUE_AWKWARD : 0;
	json_scan_free(&json);
	return good;
}

static bool normalize_text(enum kind kind, struct value *value, struct arena *arena)
{
	char *text;
	size_t length = UUID_TEXT;
	bool good;

	switch (kind) {
	case COLUMN_UUID:
	case COLUMN_IP:
		text = arena_alloc(arena, 46);
		good = text != NULL &&
			(kind == COLUMN_UUID ? uuid_parse(value->s.ptr, value->s.len, text)
					     : ip_parse(value->s.ptr, value->s.len, text, &length));
		/* An address in another form is not converted: the row's text stays. */
		if (kind == COLUMN_IP && text != NULL &&
			(!good || length != value->s.len ||
				memcmp(text, value->s.ptr, length) != 0))
			return utf8_valid(value->s.ptr, value->s.len);
		if (!good)
			return false;
		value->s.ptr = text;
		value->s.len = length;
		value->flags = VALUE_ADDRESS;
		return true;
	case COLUMN_STRINGS:
		return normalize_strings(value, arena);
	case COLUMN_JSON:
		return row_check_json(value);
	default:
		return utf8_valid(value->s.ptr, value->s.len);
	}
}

int row_normalize(const struct table_of *table, struct value *values, struct arena *arena,
	const char *shown, struct err *err)
{
	static const char *const what[] = {
		[COLUMN_TEXT] = "valid text",
		[COLUMN_UUID] = "a UUID",
		[COLUMN_TIME] = "a time",
		[COLUMN_INTEGER] = "an integer",
		[COLUMN_REAL] = "a finite number",
		[COLUMN_BOOL] = "true or false",
		[COLUMN_STRINGS] = "an array of texts",
		[COLUMN_JSON] = "JSON",
		[COLUMN_IP] = "valid text",
		[COLUMN_API_KEY] = "valid text",
		[COLUMN_CLIENT] = "valid text",
	};

	for (unsigned i = 0; i < table->column_count; i++) {
		const struct column_of *column = &table->columns[i];
		bool good = true;

		if (!values[i].set) {
			if (!column->nullable)
				return row_fail(
					table, values, shown, err, "%s is null", column->name);
			continue;
		}
		switch (column->kind) {
		case COLUMN_INTEGER:
		case COLUMN_BOOL:
			break;
		case COLUMN_TIME:
			good = timestamp_in_range(values[i].i);
			break;
		case COLUMN_REAL:
			good = isfinite(values[i].f);
			break;
		default:
			good = normalize_text(column->kind, &values[i], arena);
			break;
		}
		if (!good)
			return row_fail(table, values, shown, err, "%s is not %s", column->name,
				what[column->kind]);
	}
	return 0;
}

/* Checksums */

static void hash_bytes(crypto_generichash_state *state, const void *bytes, size_t length)
{
	uint64_t size = length;

	(void)crypto_generichash_update(state, (const unsigned char *)&size, sizeof size);
	(void)crypto_generichash_update(state, bytes, length);
}

static void hash_json(crypto_generichash_state *state, const struct json *json, uint32_t node,
	struct arena *arena);

/* Adds up the digests of the members: JSONB does not keep their order. */
static void hash_object(crypto_generichash_state *state, const struct json *json, uint32_t object,
	struct arena *arena)
{
	unsigned __int128 sum = 0, part;

	for (uint32_t name = object + 1; name < json->nodes[object].next;
		name = json->nodes[name + 1].next) {
		crypto_generichash_state member;
		size_t length;
		const char *text = json_scan_text(json, name, arena, &length);

		(void)crypto_generichash_init(&member, NULL, 0, sizeof part);
		hash_bytes(&member, text != NULL ? text : "", text != NULL ? length : 0);
		hash_json(&member, json, name + 1, arena);
		(void)crypto_generichash_final(&member, (unsigned char *)&part, sizeof part);
		sum += part;
	}
	hash_bytes(state, &sum, sizeof sum);
}

static void hash_json(crypto_generichash_state *state, const struct json *json, uint32_t node,
	struct arena *arena)
{
	unsigned char type = json->nodes[node].type;
	size_t length;
	const char *text;
	double real;
	int64_t integer;

	(void)crypto_generichash_update(state, &type, 1);
	switch ((enum json_type)type) {
	case JSON_INTEGER:
		integer = json_scan_integer(json, node);
		hash_bytes(state, &integer, sizeof integer);
		break;
	case JSON_REAL:
		real = json_scan_real(json, node);
		hash_bytes(state, &real, sizeof real);
		break;
	case JSON_STRING:
		text = json_scan_text(json, node, arena, &length);
		hash_bytes(state, text != NULL ? text : "", text != NULL ? length : 0);
		break;
	case JSON_ARRAY:
		for (uint32_t item = node + 1; item < json->nodes[node].next;
			item = json->nodes[item].next)
			hash_json(state, json, item, arena);
		hash_bytes(state, "]", 1);
		break;
	case JSON_OBJECT:
		hash_object(state, json, node, arena);
		break;
	default:
		break;
	}
}

static void hash_value(crypto_generichash_state *state, enum kind kind, const struct value *value,
	struct arena *arena)
{
	unsigned char set = value->set;
	struct json json = {0};

	(void)crypto_generichash_update(state, &set, 1);
	if (!value->set)
		return;
	switch (kind) {
	case COLUMN_TIME:
	case COLUMN_INTEGER:
	case COLUMN_BOOL:
		hash_bytes(state, &value->i, sizeof value->i);
		break;
	case COLUMN_REAL:
		hash_bytes(state, &value->f, sizeof value->f);
		break;
	case COLUMN_JSON:
		if (json_scan(&json, value->s.ptr, value->s.len, JSON_DEPTH_MAX, NULL) == 0)
			hash_json(state, &json, 0, arena);
		json_scan_free(&json);
		break;
	default:
		hash_bytes(state, value->s.ptr, value->s.len);
		break;
	}
}

void row_checksum_add(struct checksum *checksum, const struct table_of *table,
	const struct value *values, struct arena *arena)
{
	crypto_generichash_state state;
	unsigned __int128 digest;

	(void)crypto_generichash_init(&state, NULL, 0, sizeof digest);
	for (unsigned i = 0; i < table->column_count; i++)
		hash_value(&state, table->columns[i].kind, &values[i], arena);
	(void)crypto_generichash_final(&state, (unsigned char *)&digest, sizeof digest);
	checksum->sum += digest;
	checksum->rows++;
}
