#include "against_jansson.h"

/* Constants that both declare; jansson's get another name here. The json_is_… macros of jansson
 * would use our constants, so they are not used. */
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_INTEGER JANSSON_INTEGER
#define JSON_REAL JANSSON_REAL
#define JSON_TRUE JANSSON_TRUE
#define JSON_FALSE JANSSON_FALSE
#define JSON_NULL JANSSON_NULL
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_INTEGER
#undef JSON_REAL
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/json/json.h"

enum { DEPTH = 64 };

static void __attribute__((noreturn)) differ(const char *what, const char *text, size_t length)
{
	(void)fprintf(stderr, "%s:\n%.*s\n", what, (int)(length > 4096 ? 4096 : length), text);
	abort();
}

static bool same(const struct json *ours, uint32_t node, const json_t *theirs, struct arena *arena);

static bool same_object(
	const struct json *ours, uint32_t object, const json_t *theirs, struct arena *arena)
{
	if (json_object_size(theirs) != ours->nodes[object].count)
		return false;
	for (uint32_t name = object + 1; name < ours->nodes[object].next;
		name = ours->nodes[name + 1].next) {
		size_t length;
		const char *text = json_scan_text(ours, name, arena, &length);
		const json_t *value = json_object_getn(theirs, text, length);

		if (value == NULL || json_member(ours, object, text, length) != name + 1 ||
			!same(ours, name + 1, value, arena))
			return false;
	}
	return true;
}

static bool same_array(
	const struct json *ours, uint32_t array, const json_t *theirs, struct arena *arena)
{
	size_t place = 0;

	if (json_array_size(theirs) != ours->nodes[array].count)
		return false;
	for (uint32_t item = array + 1; item < ours->nodes[array].next;
		item = ours->nodes[item].next)
		if (!same(ours, item, json_array_get(theirs, place++), arena))
			return false;
	return true;
}

static bool same(const struct json *ours, uint32_t node, const json_t *theirs, struct arena *arena)
{
	size_t length;
	const char *text;
	double real, their_real;

	if (theirs == NULL)
		return false;
	switch ((enum json_type)ours->nodes[node].type) {
	case JSON_NULL:
		return json_typeof(theirs) == JANSSON_NULL;
	case JSON_FALSE:
		return json_typeof(theirs) == JANSSON_FALSE;
	case JSON_TRUE:
		return json_typeof(theirs) == JANSSON_TRUE;
	case JSON_INTEGER:
		return json_typeof(theirs) == JANSSON_INTEGER &&
			json_integer_value(theirs) == json_scan_integer(ours, node);
	case JSON_REAL:
		real = json_scan_real(ours, node);
		their_real = json_real_value(theirs);
		return json_typeof(theirs) == JANSSON_REAL &&
			memcmp(&real, &their_real, sizeof real) == 0;
	case JSON_STRING:
		text = json_scan_text(ours, node, arena, &length);
		return json_typeof(theirs) == JANSSON_STRING &&
			json_string_length(theirs) == length &&
			memcmp(json_string_value(theirs), text, length) == 0;
	case JSON_ARRAY:
		return json_typeof(theirs) == JANSSON_ARRAY &&
			same_array(ours, node, theirs, arena);
	case JSON_OBJECT:
		return json_typeof(theirs) == JANSSON_OBJECT &&
			same_object(ours, node, theirs, arena);
	}
	return false;
}

/* The compact form is accepted, has the same value, and is its own compact form. */
static bool compact_is_same(const struct json *ours, const json_t *theirs, struct arena *arena)
{
	struct buffer once = {0}, twice = {0};
	struct json again = {0};
	bool good;

	json_write_node(&once, ours, 0, arena);
	good = json_scan(&again, once.data, once.length, DEPTH, NULL) == 0 &&
		same(&again, 0, theirs, arena);
	if (good)
		json_write_node(&twice, &again, 0, arena);
	good = good && once.length == twice.length &&
		memcmp(once.data, twice.data, once.length) == 0;
	json_scan_free(&again);
	buffer_free(&once);
	buffer_free(&twice);
	return good;
}

bool against_jansson(const char *text, size_t length)
{
	json_error_t error;
	json_t *theirs = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	struct json ours = {0};
	struct arena arena;
	struct err err = {.message = ""};
	bool taken = json_scan(&ours, text, length, DEPTH, &err) == 0;

	arena_init(&arena);
	if (taken && theirs == NULL)
		differ("taken, but not by jansson", text, length);
	if (!taken && theirs != NULL && strstr(err.message, "too deep") == NULL &&
		memchr(text, '\0', length) == NULL)
		differ("refused, but not by jansson", text, length);
	if (taken && !same(&ours, 0, theirs, &arena))
		differ("taken as another value than by jansson", text, length);
	if (taken && !compact_is_same(&ours, theirs, &arena))
		differ("the compact form is another value", text, length);
	json_decref(theirs);
	json_scan_free(&ours);
	arena_free(&arena);
	return taken;
}
