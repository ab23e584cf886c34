/* The envelope of JSON-RPC: which requests are accepted, what their id is, what is answered.
 * Would catch: an altered id, a notification that is answered, an invalid request that is not,
 * an error whose data lacks a member. */
#include <string.h>

#include "../../protocol/decode.h"
#include "../../protocol/wire/rpc.h"
#include "unit.h"

static struct json json;
static struct arena arena;
static struct rpc_request request;
static struct err err;

static int read_line(const char *line)
{
	arena_reset(&arena);
	memset(&request, 0xAA, sizeof request);
	ck_assert_msg(json_scan(&json, line, strlen(line), RPC_DEPTH, &err) == 0, "%s", line);
	return rpc_request(&json, 0, &arena, &request, &err);
}

static bool id_is(const char *text)
{
	return request.id_length == strlen(text) &&
		memcmp(request.id, text, request.id_length) == 0;
}

START_TEST(ids_come_back_as_they_stand)
{
	static const char *const ids[] = {"0", "-1", "7", "9223372036854775807",
		"-9223372036854775808", "-0", "\"\"", "\"a\"", "null", "\"\\u00e9\\n\\\"\"",
		"\"\xC3\xA9\"", "\"\\ud83d\\ude00\""};
	char line[256];

	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		(void)snprintf(line, sizeof line,
			"{\"id\":%s,\"jsonrpc\":\"2.0\",\"method\":\"daemon.ping\"}", ids[i]);
		ck_assert_int_eq(read_line(line), 0);
		ck_assert_msg(id_is(ids[i]), "%s", ids[i]);
		ck_assert(!request.notification);
		ck_assert_str_eq(request.method->name, "daemon.ping");
		ck_assert_uint_eq(request.params, DECODE_NO_PARAMS);
	}
}
END_TEST

START_TEST(ids_that_are_none)
{
	static const char *const ids[] = {"1.0", "1e3", "true", "false", "[]", "{}", "[1]"};
	char line[1024];

	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		(void)snprintf(line, sizeof line,
			"{\"id\":%s,\"jsonrpc\":\"2.0\",\"method\":\"daemon.ping\"}", ids[i]);
		ck_assert_int_eq(read_line(line), -1);
		ck_assert_int_eq(err.kind, ERR_INVALID_REQUEST);
		ck_assert(id_is("null"));
		ck_assert(!request.notification);
	}
	for (int length = 255; length <= 257;
		length++) { /* of a string, counted after unescaping */
		int at = snprintf(line, sizeof line,
			"{\"jsonrpc\":\"2.0\",\"method\":\"daemon.ping\",\"id\":\"\\u0041");

		ck_assert_int_gt(at, 0);
		memset(line + at, 'x', (size_t)length - 1);
		(void)snprintf(
			line + at + length - 1, sizeof line - (size_t)(at + length - 1), "\"}");
		ck_assert_int_eq(read_line(line), length <= RPC_ID_MAX ? 0 : -1);
		ck_assert_uint_eq(request.id_length, length <= RPC_ID_MAX ? (size_t)length + 7 : 4);
	}
}
END_TEST

/* Invalid ones are answered, with or without an id. */
START_TEST(invalid_requests)
{
	static const char *const rests[] = {
		"\"method\":\"daemon.ping\"",
		"\"jsonrpc\":\"2\",\"method\":\"daemon.ping\"",
		"\"jsonrpc\":2.0,\"method\":\"daemon.ping\"",
		"\"jsonrpc\":\"2.0 \",\"method\":\"daemon.ping\"",
		"\"jsonrpc\":null,\"method\":\"daemon.ping\"",
		"\"jsonrpc\":\"2.0\"",
		"\"jsonrpc\":\"2.0\",\"method\":1",
		"\"jsonrpc\":\"2.0\",\"method\":null",
		"\"jsonrpc\":\"2.0\",\"method\":[\"daemon.ping\"]",
		"\"jsonrpc\":\"2.0\",\"method\":\"daemon.ping\",\"params\":1",
		"\"jsonrpc\":\"2.0\",\"method\":\"daemon.ping\",\"params\":null",
		"\"jsonrpc\":\"2.0\",\"method\":\"daemon.ping\",\"params\":\"x\"",
		"\"JSONRPC\":\"2.0\",\"Method\":\"daemon.ping\"",
	};
	static const char *const others[] = {"1", "null", "\"x\"", "true", "[]", "{}"};
	char line[256];

	for (size_t i = 0; i < sizeof rests / sizeof *rests; i++) {
		(void)snprintf(line, sizeof line, "{%s}", rests[i]);
		ck_assert_int_eq(read_line(line), -1);
		ck_assert_int_eq(err.kind, ERR_INVALID_REQUEST);
		ck_assert(!request.notification);
		ck_assert(id_is("null"));
		(void)snprintf(line, sizeof line, "{%s,\"id\":5}", rests[i]);
		ck_assert_int_eq(read_line(line), -1);
		ck_assert(id_is("5"));
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		ck_assert_int_eq(read_line(others[i]), -1);
		ck_assert_int_eq(err.kind, ERR_INVALID_REQUEST);
		ck_assert(id_is("null") && !request.notification);
	}
}
END_TEST

START_TEST(notifications)
{
	ck_assert_int_eq(
		read_line("{\"jsonrpc\":\"2.0\",\"method\":\"daemon.ping\",\"params\":[]}"), 0);
	ck_assert(request.notification);
	ck_assert_uint_ne(request.params, DECODE_NO_PARAMS);
	ck_assert_int_eq(read_line("{\"jsonrpc\":\"2.0\",\"method\":\"nothing\"}"), -1);
	ck_assert_int_eq(err.kind, ERR_METHOD_NOT_FOUND);
	ck_assert(request.notification);
	ck_assert_int_eq(read_line("{\"jsonrpc\":\"2.0\",\"method\":\"nothing\",\"id\":null}"), -1);
	ck_assert(!request.notification && id_is("null"));
}
END_TEST

/* With any escapes in names and texts, and any other members. */
START_TEST(escapes_and_strangers)
{
	ck_assert_int_eq(
		read_line("{\"\\u006asonrpc\":\"2\\u002e0\",\"m\\u0065thod\":\"daemon\\u002eping\","
			  "\"i\\u0064\":1,\"par\\u0061ms\":{},\"x\":{\"id\":9}}"),
		0);
	ck_assert(id_is("1"));
	ck_assert_str_eq(request.method->name, "daemon.ping");
	ck_assert_uint_ne(request.params, DECODE_NO_PARAMS);
	ck_assert_int_eq(
		read_line("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.ping \"}"), -1);
	ck_assert_int_eq(read_line("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}"), -1);
	ck_assert_int_eq(err.kind, ERR_METHOD_NOT_FOUND);
}
END_TEST

START_TEST(every_method_is_found_by_its_name_alone)
{
	for (size_t i = 0; i < catalog_method_count; i++) {
		const struct method *method = &catalog_methods[i];

		ck_assert_ptr_eq(catalog_find(method->name, method->name_length), method);
		/* record_api_key_usages without its end is another method */
		ck_assert_ptr_ne(catalog_find(method->name, method->name_length - 1U), method);
		ck_assert_uint_eq(method->index, i);
	}
	ck_assert_ptr_null(catalog_find("", 0));
	ck_assert_ptr_null(catalog_find("zzz", 3));
}
END_TEST

static void written(const char *expected)
{
	struct buffer out = {0};

	rpc_error(&out, "7", 1, &err);
	buffer_byte(&out, '\0');
	ck_assert_str_eq(out.data, expected);
	buffer_free(&out);
}

START_TEST(answers)
{
	struct buffer out = {0};

	rpc_begin_result(&out, "\"a\"", 3);
	buffer_text(&out, "[1]");
	rpc_end_result(&out);
	buffer_byte(&out, '\0');
	ck_assert_str_eq(out.data, "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":[1]}");
	buffer_free(&out);

	(void)err_set(&err, ERR_CONFLICT, "email \"%s\" is taken", "a\n");
	(void)snprintf(err.field, sizeof err.field, "email");
	written("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32002,"
		"\"message\":\"email \\\"a\\n\\\" is taken\","
		"\"data\":{\"kind\":\"conflict\",\"retryable\":false,\"field\":\"email\"}}}");
	(void)err_set_path(&err, ERR_INVALID_PARAMS, "", "no");
	written("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32602,\"message\":\"no\","
		"\"data\":{\"kind\":\"invalid_params\",\"retryable\":false,\"path\":\"\"}}}");
	(void)err_set(&err, ERR_UNAVAILABLE, "gone");
	written("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32003,\"message\":\"gone\","
		"\"data\":{\"kind\":\"unavailable\",\"retryable\":true}}}");
	err.outcome = OUTCOME_UNKNOWN;
	written("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32003,\"message\":\"gone\","
		"\"data\":{\"kind\":\"unavailable\",\"retryable\":true,\"outcome\":\"unknown\"}}}");
	err.outcome = OUTCOME_NONE;
	err.ref = 0xAB;
	written("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32003,\"message\":\"gone\","
		"\"data\":{\"kind\":\"unavailable\",\"retryable\":true,\"outcome\":\"none\","
		"\"ref\":\"00000000000000ab\"}}}");
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");
	int result;

	arena_init(&arena);
	tcase_add_test(tests, ids_come_back_as_they_stand);
	tcase_add_test(tests, ids_that_are_none);
	tcase_add_test(tests, invalid_requests);
	tcase_add_test(tests, notifications);
	tcase_add_test(tests, escapes_and_strangers);
	tcase_add_test(tests, every_method_is_found_by_its_name_alone);
	tcase_add_test(tests, answers);
	result = unit_run("rpc", tests, true);
	arena_free(&arena);
	json_scan_free(&json);
	return result;
}
