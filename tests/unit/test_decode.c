/* Parameters to values. Would catch: a wrong path in an error, a default that is not applied, a
 * limit that is off by one, a member that is ignored silently. (Every parameter of every method
 * in every wrong way, through the daemon: tests/contract/test_bad_params.py.) */
#include <string.h>

#include "../../protocol/decode.h"
#include "../../protocol/wire/rpc.h"
#include "unit.h"

#define USER "3a97f11a-e651-4705-86a6-8a02f0e161af"
#define TIME "\"2025-06-19T15:44:49.123456Z\""

static const int64_t now = INT64_C(1750347889123456);
static struct json json;
static struct arena arena;
static struct value values[CATALOG_MAX_VALUES];
static const struct method *method;
static struct err err;

static int decode(const char *name, const char *params)
{
	arena_reset(&arena);
	memset(values, 0xAA, sizeof values);
	method = catalog_find(name, strlen(name));
	ck_assert_msg(method != NULL, "%s", name);
	if (params == NULL)
		return decode_params(method, NULL, DECODE_NO_PARAMS, now, &arena, values, &err);
	/* As in a request: node 0 is never the parameters. */
	char *line = malloc(strlen(params) + 3);
	ck_assert_ptr_nonnull(line);
	(void)sprintf(line, "[%s]", params);
	ck_assert_msg(json_scan(&json, line, strlen(line), RPC_DEPTH, &err) == 0, "%s", params);
	int result = decode_params(method, &json, 1, now, &arena, values, &err);
	for (unsigned i = 0; result == 0 && i < method->bind_count;
		i++) /* before the line is freed */
		if (values[i].set &&
			(method->binds[i].type == TYPE_STRING ||
				method->binds[i].type == TYPE_ENUM))
			values[i].s.ptr = arena_copy(&arena, values[i].s.ptr, values[i].s.len);
	free(line);
	return result;
}

static const struct value *value(const char *slot)
{
	for (unsigned i = 0; i < method->bind_count; i++)
		if (strcmp(method->binds[i].name, slot) == 0)
			return &values[i];
	ck_abort_msg("%s has no %s", method->name, slot);
}

static bool text_is(const char *slot, const char *expected)
{
	const struct value *found = value(slot);

	return found->set && found->s.len == strlen(expected) &&
		memcmp(found->s.ptr, expected, found->s.len) == 0;
}

static void good(const char *name, const char *params)
{
	ck_assert_msg(decode(name, params) == 0, "%s %s: %s", name, params != NULL ? params : "",
		err.message);
}

START_TEST(refusals)
{
	static const struct {
		const char *method, *params, *path;
	} cases[] = {
		{"get_user", NULL, "user_id"},
		{"get_user", "{}", "user_id"},
		{"get_user", "[]", "user_id"},
		{"get_user", "{\"user_id\":null}", "user_id"},
		{"get_user", "{\"user_id\":5}", "user_id"},
		{"get_user", "[\"" USER "\",1]", "params[1]"},
		{"get_user", "[\"" USER "\",null]", "params[1]"},
		{"get_user", "{\"user_id\":\"" USER "\",\"x\":null}", "x"},
		{"get_user", "{\"user_id\":\"" USER "\",\"\":1}", ""},
		{"get_user", "{\"User_id\":\"" USER "\"}", "User_id"},
		{"get_user_count", "[1]", "params[0]"},
		{"get_user_count", "{\"a\":1}", "a"},
		{"create_user", "{\"user\":[]}", "user"},
		{"create_user", "{\"user\":null}", "user"},
		{"create_user", "{\"user\":{}}", "user.email"},
		{"create_user", "{\"user\":{\"email\":\"a@b\"}}", "user.password_hash"},
		{"create_user",
			"{\"user\":{\"email\":\"a@b\",\"password\":null,\"password_hash\":null}}",
			"user.password_hash"},
		{"create_user",
			"{\"user\":{\"email\":\"a@b\",\"password\":\"x\",\"password_hash\":\"y\"}}",
			"user.password_hash"},
		{"create_user",
			"{\"user\":{\"email\":\"a@b\",\"password\":\"x\",\"strava_token\":{}}}",
			"user.strava_token"},
		{"create_user", "{\"user\":{\"email\":\"a@b\",\"password\":\"x\",\"is_active\":1}}",
			"user.is_active"},
		{"create_user", "{\"user\":{\"email\":\"a@b\",\"password\":\"x\",\"id\":\"\"}}",
			"user.id"},
		{"create_user", "{\"user\":{\"email\":\"a@b\",\"password\":\"x\",\"e\\u00e9\":1}}",
			"user.e\xC3\xA9"},
		{"create_user", "{\"user\":{\"email\":\"@b\",\"password\":\"x\"}}", "user.email"},
		{"create_user", "{\"user\":{\"email\":\"a@\",\"password\":\"x\"}}", "user.email"},
		{"create_user", "{\"user\":{\"email\":\"a@b@c\",\"password\":\"x\"}}",
			"user.email"},
		{"create_user", "{\"user\":{\"email\":\"\",\"password\":\"x\"}}", "user.email"},
		{"create_goal", "{\"user_id\":\"" USER "\",\"goal_data\":[]}", "goal_data"},
		{"create_goal", "{\"user_id\":\"" USER "\",\"goal_data\":{\"title\":1}}",
			"goal_data.title"},
		{"create_goal",
			"{\"user_id\":\"" USER "\",\"goal_data\":{\"type\":\"a\",\"goal_type\":1}}",
			"goal_data.goal_type"},
		{"create_goal",
			"{\"user_id\":\"" USER
			"\",\"goal_data\":{\"target_value\":1,\"target\":\"1\"}}",
			"goal_data.target"},
		{"get_user_insights", "{\"user_id\":\"" USER "\",\"limit\":1001}", "limit"},
		{"get_user_insights", "{\"user_id\":\"" USER "\",\"limit\":-1}", "limit"},
		{"get_user_insights", "{\"user_id\":\"" USER "\",\"limit\":5.0}", "limit"},
		{"get_user_insights", "{\"user_id\":\"" USER "\",\"limit\":true}", "limit"},
		{"get_request_logs", "{\"status_filter\":\"All\"}", "status_filter"},
		{"get_request_logs", "{\"start_time\":\"2025-06-19\"}", "start_time"},
		{"get_request_logs", "{\"start_time\":1750347889}", "start_time"},
		{"update_goal_progress", "{\"goal_id\":\"" USER "\",\"current_value\":\"5\"}",
			"current_value"},
		{"create_a2a_session", "[\"c\",null,[\"a\",1],24]", "granted_scopes[1]"},
		{"create_a2a_session", "[\"c\",null,{},24]", "granted_scopes"},
		{"create_a2a_session", "[\"c\",null,[],0]", "expires_in_hours"},
		{"create_a2a_session", "[\"c\",null,[],87601]", "expires_in_hours"},
		{"create_a2a_task", "[\"c\",null,\"t\"]", "input_data"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ck_assert_msg(decode(cases[i].method, cases[i].params) == -1, "%s %s was taken",
			cases[i].method, cases[i].params);
		ck_assert_int_eq(err.kind, ERR_INVALID_PARAMS);
		ck_assert_msg(strcmp(err.path, cases[i].path) == 0, "%s %s: path %s, not %s",
			cases[i].method, cases[i].params, err.path, cases[i].path);
		ck_assert_msg(err.message[0] != '\0', "%s", cases[i].params);
	}
}
END_TEST

START_TEST(user_with_defaults)
{
	good("create_user",
		"{\"user\":{\"email\":\"a\\u0040b\",\"password_hash\":\"h\",\"display_name\":null,"
		"\"strava_token\":null}}");
	ck_assert(text_is("email", "a@b"));
	ck_assert(text_is("password_hash", "h"));
	ck_assert(!value("password")->set && !value("display_name")->set);
	ck_assert_int_eq(value("is_active")->i, 1);
	ck_assert_int_eq(value("created_at")->i, now);
	ck_assert_int_eq(value("last_active")->i, now);
	ck_assert_uint_eq(value("id")->s.len, UUID_TEXT);
	good("create_user",
		"[{\"email\":\"a@b\",\"password\":\"\","
		"\"id\":\"3A97F11AE651470586A68A02F0E161AF\",\"is_active\":false,"
		"\"created_at\":\"2025-06-19T17:44:49.123456789+02:00\"}]");
	ck_assert(text_is("id", USER));
	ck_assert(text_is("password", ""));
	ck_assert_int_eq(value("is_active")->i, 0);
	ck_assert_int_eq(value("created_at")->i, now);
}
END_TEST

/* A password's limit counts bytes, after unescaping. */
START_TEST(longest_text)
{
	char params[1024];

	for (int bytes = 71; bytes <= 74; bytes++) {
		int length = snprintf(
			params, sizeof params, "{\"user\":{\"email\":\"a@b\",\"password\":\"");

		for (int i = 0; i < bytes / 2; i++)
			length += snprintf(
				params + length, sizeof params - (size_t)length, "\\u00e9");
		(void)snprintf(params + length, sizeof params - (size_t)length, "%s\"}}",
			bytes % 2 == 1 ? "x" : "");
		ck_assert_int_eq(decode("create_user", params), bytes <= 72 ? 0 : -1);
	}
	ck_assert_str_eq(err.path, "user.password");
	ck_assert_ptr_null(strstr(err.message, "\xC3\xA9")); /* a secret is not shown */
}
END_TEST

START_TEST(extracts)
{
	good("create_goal", "[\"" USER "\",{}]");
	ck_assert(text_is("title", "Untitled Goal"));
	ck_assert(text_is("goal_type", "custom"));
	ck_assert_double_eq(value("target_value")->f, 0.0);
	ck_assert(text_is("goal_data", "{}"));
	good("create_goal",
		"[\"" USER "\", { \"t\\u0069tle\" : \"a\\n\" , \"type\":\"x\",\"goal_type\":null,"
		"\"target\":7,\"target_value\":1e2, \"current\":-0.0, \"o\":[ 1.50 ] }]");
	ck_assert(text_is("title", "a\n"));
	ck_assert(text_is("goal_type", "x"));
	ck_assert_double_eq(value("target_value")->f, 100.0);
	ck_assert_int_eq(value("goal_data")->flags & VALUE_AWKWARD, VALUE_AWKWARD);
	good("create_goal", "[\"" USER "\",{\"a\":1.5}]");
	ck_assert_int_eq(value("goal_data")->flags, 0);
}
END_TEST

START_TEST(by_position)
{
	good("get_user_insights", "[\"" USER "\"]");
	ck_assert(!value("insight_type")->set);
	ck_assert_int_eq(value("limit")->i, 50);
	good("get_user_insights", "[\"" USER "\",null,null]");
	ck_assert_int_eq(value("limit")->i, 50);
	good("get_user_insights", "[\"" USER "\",\"\",0]");
	ck_assert(text_is("insight_type", ""));
	ck_assert_int_eq(value("limit")->i, 0);
	good("get_user_insights", "{\"limit\":1000,\"user_id\":\"" USER "\"}");
	ck_assert_int_eq(value("limit")->i, 1000);
	good("get_request_logs", NULL);
	ck_assert(text_is("status_filter", "all"));
	ck_assert_int_eq(value("limit")->i, 100);
	good("get_request_logs", "{\"start_time\":" TIME "}");
	ck_assert_int_eq(value("start_time")->i, now);
}
END_TEST

/* A document may be anything that is not a parameter: JSON null as `json` is a value, and an
 * array keeps its order. */
START_TEST(json_values)
{
	good("create_a2a_task", "[\"c\",null,\"t\",null]");
	ck_assert(text_is("input_data", "null"));
	good("create_a2a_task", "[\"c\",null,\"t\",[ 1 , {\"b\":1,\"a\":\"\\u00e9\"} ]]");
	ck_assert(text_is("input_data", "[1,{\"b\":1,\"a\":\"\xC3\xA9\"}]"));
	good("create_a2a_session", "[\"c\",null,[ \"a\" , \"\\\"\" ],1]");
	ck_assert(text_is("granted_scopes", "[\"a\",\"\\\"\"]"));
	good("update_goal_progress", "[\"" USER "\",-0.0]");
	ck_assert_int_eq(memcmp(&value("current_value")->f, &(double){0.0}, sizeof(double)), 0);
	good("update_goal_progress", "[\"" USER "\",9007199254740993]");
	ck_assert_double_eq(value("current_value")->f, 9007199254740992.0);
}
END_TEST

/* A missing parameter of any method is reported by its path; no method accepts an extra one. */
START_TEST(every_method)
{
	for (size_t i = 0; i < catalog_method_count; i++) {
		const struct method *each = &catalog_methods[i];
		bool required = false;

		for (unsigned k = 0; k < each->param_count; k++)
			required |= (each->params[k].flags & FIELD_OPTIONAL) == 0 &&
				each->params[k].fallback.kind == DEFAULT_NONE;
		ck_assert_msg(decode(each->name, NULL) == (required ? -1 : 0), "%s", each->name);
		ck_assert_msg(decode(each->name, "{}") == (required ? -1 : 0), "%s", each->name);
		ck_assert_msg(!required || err.path[0] != '\0', "%s", each->name);
		ck_assert_msg(
			decode(each->name, "{\"no such parameter\":1}") == -1, "%s", each->name);
		ck_assert_str_eq(err.path, "no such parameter");
		ck_assert_msg(
			decode(each->name, "[1,2,3,4,5,6,7,8,9,10,11,12]") == -1, "%s", each->name);
		ck_assert_int_eq(err.kind, ERR_INVALID_PARAMS);
	}
}
END_TEST

/* A value of another type is answered with the names, too. */
START_TEST(names_of_an_enumeration)
{
	static const char *const wrong[] = {"null", "5", "\"Strava\"", "[]"};
	char params[128];

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		(void)snprintf(params, sizeof params, "[\"" USER "\",%s]", wrong[i]);
		ck_assert_int_lt(decode("lease_token_refresh", params), 0);
		ck_assert_str_eq(err.message, "provider must be one of strava, fitbit");
		ck_assert_str_eq(err.path, "provider");
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");
	int result;

	arena_init(&arena);
	tcase_add_test(tests, refusals);
	tcase_add_test(tests, names_of_an_enumeration);
	tcase_add_test(tests, user_with_defaults);
	tcase_add_test(tests, longest_text);
	tcase_add_test(tests, extracts);
	tcase_add_test(tests, by_position);
	tcase_add_test(tests, json_values);
	tcase_add_test(tests, every_method);
	result = unit_run("decode", tests, true);
	arena_free(&arena);
	json_scan_free(&json);
	return result;
}
