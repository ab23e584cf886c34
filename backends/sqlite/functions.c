#include "functions.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../protocol/json/json.h"
#include "../../protocol/value.h"

/* micros(text): a stored time as microseconds, to compare with the generated …_us columns. */
static void micros_function(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	const char *text = (const char *)sqlite3_value_text(arguments[0]);
	int64_t micros;

	(void)count;
	if (text != NULL &&
		timestamp_parse_stored(text, (size_t)sqlite3_value_bytes(arguments[0]), &micros))
		sqlite3_result_int64(context, micros);
}

/* Starts the error text of a statement that read a value of the wrong type; the column and the
 * row's id follow. */
static const char unsound[] = "unsound value: ";

static void report_unsound(sqlite3_context *context, const char *column, const char *id)
{
	char *message = column != NULL
		? sqlite3_mprintf("%s%s %s", unsound, column, id != NULL ? id : "")
		: NULL;

	if (message != NULL)
		sqlite3_result_error(context, message, -1);
	else
		sqlite3_result_error_nomem(context);
	sqlite3_free(message);
}

static const char unexpected[] = "unexpected ";

/* unexpected(what): aborts a statement that meets another state than its caller expects. */
static void unexpected_function(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	const char *what = (const char *)sqlite3_value_text(arguments[0]);
	char *message = sqlite3_mprintf("%s%s", unexpected, what != NULL ? what : "");

	(void)count;
	if (message == NULL)
		sqlite3_result_error_nomem(context);
	else
		sqlite3_result_error(context, message, -1);
	sqlite3_free(message);
}

bool functions_unexpected(const char *message)
{
	return strncmp(message, unexpected, strlen(unexpected)) == 0;
}

static void fail_unsound(
	sqlite3_context *context, sqlite3_value *column_value, sqlite3_value *id_value)
{
	report_unsound(context, (const char *)sqlite3_value_text(column_value),
		(const char *)sqlite3_value_text(id_value));
}

static const char no_parent[] = "no parent: ";

/* no_parent(member): aborts a statement whose row names a row that is not there. */
static void no_parent_function(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	const char *member = (const char *)sqlite3_value_text(arguments[0]);
	char *message = sqlite3_mprintf("%s%s", no_parent, member != NULL ? member : "");

	(void)count;
	if (message != NULL)
		sqlite3_result_error(context, message, -1);
	else
		sqlite3_result_error_nomem(context);
	sqlite3_free(message);
}

static void give_json(sqlite3_context *context, struct buffer *text)
{
	if (text->failure == BUFFER_OK)
		sqlite3_result_text(context, text->data, (int)text->length, SQLITE_TRANSIENT);
	else
		sqlite3_result_error_nomem(context);
	buffer_free(text);
}

/* real_text(number, column, id): the shortest decimal that reads back exactly; SQLite's own has
 * fifteen digits. */
static void real_text_function(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	struct buffer text = {0};
	int type = sqlite3_value_type(arguments[0]);

	(void)count;
	if ((type != SQLITE_FLOAT && type != SQLITE_INTEGER) ||
		!isfinite(sqlite3_value_double(arguments[0]))) {
		fail_unsound(context, arguments[1], arguments[2]);
		return;
	}
	json_write_real(&text, sqlite3_value_double(arguments[0]));
	give_json(context, &text);
}

/* uuid_valid(id) */
static void uuid_valid_function(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	bool is_text = sqlite3_value_type(arguments[0]) == SQLITE_TEXT;
	const char *text = is_text ? (const char *)sqlite3_value_text(arguments[0]) : NULL;
	char uuid[UUID_TEXT];

	(void)count;
	sqlite3_result_int(context,
		text != NULL && uuid_parse(text, (size_t)sqlite3_value_bytes(arguments[0]), uuid));
}

/* whole_text(number, column, id) */
static void whole_text_function(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	struct buffer text = {0};

	(void)count;
	if (sqlite3_value_type(arguments[0]) != SQLITE_INTEGER) {
		fail_unsound(context, arguments[1], arguments[2]);
		return;
	}
	json_write_integer(&text, sqlite3_value_int64(arguments[0]));
	give_json(context, &text);
}

/* word_text(text, column, id): the text as a JSON string. */
static void word_text_function(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	struct buffer text = {0};
	bool is_text = sqlite3_value_type(arguments[0]) == SQLITE_TEXT;
	const char *word = is_text ? (const char *)sqlite3_value_text(arguments[0]) : NULL;
	size_t length = word != NULL ? (size_t)sqlite3_value_bytes(arguments[0]) : 0;

	(void)count;
	if (is_text && word == NULL) {
		sqlite3_result_error_nomem(context);
	} else if (!is_text || !utf8_valid(word, length)) {
		fail_unsound(context, arguments[1], arguments[2]);
	} else {
		json_write_string(&text, word, length);
		give_json(context, &text);
	}
}

/* Microseconds from the year 0, the first of a stored time, to 1970; and of an hour. */
static const int64_t year_0_us = INT64_C(62167219200000000), hour_us = INT64_C(3600000000);

static int64_t hour_start(int64_t micros)
{
	return micros - (micros + year_0_us) % hour_us;
}

/* hour_of(micros): hours since 1970. */
static void hour_of_function(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	(void)count;
	if (sqlite3_value_type(arguments[0]) == SQLITE_INTEGER)
		sqlite3_result_int64(context,
			(sqlite3_value_int64(arguments[0]) + year_0_us) / hour_us -
				year_0_us / hour_us);
}

/* day_of(hour): the first hour of its day, of what hour_of() returns. A time with an offset may be
 * a day before the year 0. */
static void day_of_function(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	const int64_t offset = year_0_us / hour_us + 24;
	int64_t hours = sqlite3_value_int64(arguments[0]) + offset;

	(void)count;
	if (sqlite3_value_type(arguments[0]) == SQLITE_INTEGER)
		sqlite3_result_int64(context, hours - hours % 24 - offset);
}

/* kept_hour(micros, kept_from): an end of a period. Rows before kept_from are gone, so an hour
 * there cannot be divided: the end moves to its start. */
static void kept_hour_function(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	int64_t micros = sqlite3_value_int64(arguments[0]), start = hour_start(micros);

	(void)count;
	if (sqlite3_value_type(arguments[0]) == SQLITE_INTEGER)
		sqlite3_result_int64(
			context, start < sqlite3_value_int64(arguments[1]) ? start : micros);
}

/* nearest_hour(micros, now): the full hour with the shorter way, where only time that has passed
 * counts: few rows are of the future. */
static void nearest_hour_function(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	int64_t micros = sqlite3_value_int64(arguments[0]), now = sqlite3_value_int64(arguments[1]),
		start = hour_start(micros), end = start + hour_us;
	int64_t before = (micros < now                 ? micros
					 : now > start ? now
						       : start) -
		start,
		after = (now < end ? now : end) - micros;

	(void)count;
	if (sqlite3_value_type(arguments[0]) == SQLITE_INTEGER)
		sqlite3_result_int64(context, (after > 0 ? after : 0) < before ? end : start);
}

static bool is_odd_time(sqlite3_value *time_ms)
{
	const int64_t limit = INT64_C(1) << 40; /* millions of sums stay within 64 bits */
	int type = sqlite3_value_type(time_ms);

	return type != SQLITE_NULL &&
		(type != SQLITE_INTEGER || sqlite3_value_int64(time_ms) < -limit ||
			sqlite3_value_int64(time_ms) > limit);
}

/* Whether a stored list is anything but a JSON array of strings or NULL. */
static bool is_odd_list(sqlite3_value *list)
{
	struct json json = {0};
	const char *text;
	bool odd;

	if (sqlite3_value_type(list) == SQLITE_NULL)
		return false;
	text = sqlite3_value_type(list) == SQLITE_TEXT ? (const char *)sqlite3_value_text(list)
						       : NULL;
	odd = text == NULL ||
		json_scan(&json, text, (size_t)sqlite3_value_bytes(list), JSON_DEPTH_MAX, NULL) <
			0 ||
		json.nodes[0].type != JSON_ARRAY;
	for (size_t i = 1; !odd && i < json.count; i++)
		odd = json.nodes[i].type != JSON_STRING;
	json_scan_free(&json);
	return odd;
}

/* odd_usage(status_code, response_time_ms, client_capabilities): whether statistics must read the
 * row itself, because a value cannot be summed. */
static void odd_usage_function(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	(void)count;
	sqlite3_result_int(context,
		sqlite3_value_type(arguments[0]) != SQLITE_INTEGER || is_odd_time(arguments[1]) ||
			is_odd_list(arguments[2]));
}

/* sound_usage(status_code, response_time_ms, id): 1, or aborts a statement that would count a value
 * of the wrong type. */
static void sound_usage_function(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	int time_type = sqlite3_value_type(arguments[1]);
	const char *column = sqlite3_value_type(arguments[0]) != SQLITE_INTEGER ? "status_code"
		: time_type != SQLITE_INTEGER && time_type != SQLITE_NULL       ? "response_time_ms"
										: NULL;

	(void)count;
	if (column != NULL)
		report_unsound(context, column, (const char *)sqlite3_value_text(arguments[2]));
	else
		sqlite3_result_int(context, 1);
}

static const struct {
	const char *name;
	int arguments, flags;
	void (*run)(sqlite3_context *context, int count, sqlite3_value **arguments);
} functions[] = {
	{"micros", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, micros_function},
	{"real_text", 3, SQLITE_UTF8 | SQLITE_DETERMINISTIC, real_text_function},
	{"whole_text", 3, SQLITE_UTF8 | SQLITE_DETERMINISTIC, whole_text_function},
	{"word_text", 3, SQLITE_UTF8 | SQLITE_DETERMINISTIC, word_text_function},
	{"uuid_valid", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, uuid_valid_function},
	{"hour_of", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, hour_of_function},
	{"day_of", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, day_of_function},
	{"kept_hour", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, kept_hour_function},
	{"nearest_hour", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nearest_hour_function},
	{"odd_usage", 3, SQLITE_UTF8 | SQLITE_DETERMINISTIC, odd_usage_function},
	{"sound_usage", 3, SQLITE_UTF8, sound_usage_function},
	{"unexpected", 1, SQLITE_UTF8, unexpected_function},
	{"no_parent", 1, SQLITE_UTF8, no_parent_function},
};

int functions_add(sqlite3 *db)
{
	int code = SQLITE_OK;

	for (size_t i = 0; i < sizeof functions / sizeof functions[0] && code == SQLITE_OK; i++)
		code = sqlite3_create_function(db, functions[i].name, functions[i].arguments,
			functions[i].flags, NULL, functions[i].run, NULL, NULL);
	return code;
}

const char *functions_unsound(const char *message, char *column, size_t size)
{
	size_t length;

	if (strncmp(message, unsound, strlen(unsound)) != 0)
		return NULL;
	message += strlen(unsound);
	length = strcspn(message, " ");
	(void)snprintf(column, size, "%.*s", (int)length, message);
	return message + length + (message[length] != '\0');
}

const char *functions_no_parent(const char *message)
{
	size_t length = strlen(no_parent);

	return strncmp(message, no_parent, length) == 0 ? message + length : NULL;
}
