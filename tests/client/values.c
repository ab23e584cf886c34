/* What the typed calls send, and how they parse answers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "suites.h"

static struct fake fake;

static void open_fake(void)
{
	fake_open(&fake);
}

static void close_fake(void)
{
	fake_close(&fake);
}

/* The params of the next line that arrives. */
static void expect_params(const char *method, const char *params)
{
	char expected[4096];
	const char *line = fake_line(&fake);

	(void)snprintf(expected, sizeof expected,
		"{\"jsonrpc\":\"2.0\",\"id\":%lld,\"method\":\"%s\"%s%s}", fake_id(line), method,
		*params != '\0' ? ",\"params\":" : "", params);
	ck_assert_str_eq(line, expected);
}

static const int64_t TIME = INT64_C(1750347889123456); /* 2025-06-19T15:44:49.123456Z */

START_TEST(sends_parameter_objects)
{
	struct pierre_new_user min = {.email = "ana@example.com", .password = "a \"b\"\n\xc3\xa9"};
	struct pierre_new_user max = {.email = "b@c",
		.password_hash = "h",
		.id = "x",
		.display_name = "",
		.has_created_at = true,
		.created_at = TIME,
		.has_last_active = true,
		.last_active = 0,
		.has_is_active = true};
	struct pierre_error error;

	pierre_set_repeats(fake.db, false); /* no keys, which differ each time */
	ck_assert_int_gt(pierre_create_user_async(fake.db, &min, NULL, NULL, &error), 0);
	ck_assert_int_gt(pierre_create_user_async(fake.db, &max, NULL, NULL, &error), 0);
	fake_accept(&fake);
	expect_params("create_user",
		"{\"user\":{\"email\":\"ana@example.com\",\"password\":\"a \\\"b\\\"\\n"
		"\xc3\xa9\"}}");
	expect_params("create_user",
		"{\"user\":{\"email\":\"b@c\",\"password_hash\":\"h\",\"id\":\"x\","
		"\"display_name\":\"\","
		"\"created_at\":\"2025-06-19T15:44:49.123456Z\","
		"\"last_active\":\"1970-01-01T00:00:00.000000Z\","
		"\"is_active\":false}}");
}
END_TEST

START_TEST(sends_every_kind_of_parameter)
{
	const char *scopes[] = {"read", "a,b", ""};
	int64_t start = TIME;
	uint32_t limit = 4294967295U;
	const struct pierre_api_key_usage_input usages[] = {
		{.api_key_id = "k", .tool_name = "t", .status_code = 200},
		{.api_key_id = "l",
			.tool_name = "",
			.status_code = 404,
			.has_response_time_ms = true,
			.response_time_ms = 7},
	};
	struct pierre_error error;

	pierre_set_repeats(fake.db, false);
	ck_assert_int_gt(pierre_get_request_logs_async(fake.db, NULL, &start, NULL, NULL, "all",
				 &limit, NULL, NULL, NULL, NULL, &error),
		0);
	ck_assert_int_gt(pierre_create_a2a_session_async(
				 fake.db, "c", NULL, scopes, 3, 87600, NULL, NULL, &error),
		0);
	ck_assert_int_gt(
		pierre_create_a2a_session_async(fake.db, "c", "u", NULL, 0, -1, NULL, NULL, &error),
		0);
	ck_assert_int_gt(
		pierre_update_goal_progress_async(fake.db, "g", 0.1, NULL, NULL, NULL, &error), 0);
	ck_assert_int_gt(pierre_upsert_user_profile_async(
				 fake.db, "u", " {\"a\" : [1,\n2.50, {}]}", NULL, NULL, &error),
		0);
	ck_assert_int_gt(pierre_update_a2a_task_status_async(fake.db, "t",
				 PIERRE_TASK_STATUS_COMPLETED, "null", NULL, NULL, NULL, &error),
		0);
	ck_assert_int_gt(pierre_daemon_ping_async(fake.db, NULL, NULL, &error), 0);
	ck_assert_int_gt(
		pierre_record_api_key_usages_async(fake.db, usages, 2, NULL, NULL, &error), 0);
	ck_assert_int_gt(
		pierre_record_api_key_usages_async(fake.db, usages, 0, NULL, NULL, &error), 0);
	fake_accept(&fake);
	expect_params("get_request_logs",
		"{\"start_time\":\"2025-06-19T15:44:49.123456Z\",\"tool_filter\":\"all\","
		"\"limit\":4294967295}");
	expect_params("create_a2a_session",
		"{\"client_id\":\"c\",\"granted_scopes\":[\"read\",\"a,b\",\"\"],"
		"\"expires_in_hours\":87600}");
	expect_params("create_a2a_session",
		"{\"client_id\":\"c\",\"user_id\":\"u\",\"granted_scopes\":[],"
		"\"expires_in_hours\":-1}");
	expect_params("update_goal_progress", "{\"goal_id\":\"g\",\"current_value\":0.1}");
	expect_params(
		"upsert_user_profile", "{\"user_id\":\"u\",\"profile_data\":{\"a\":[1,2.50,{}]}}");
	expect_params("update_a2a_task_status",
		"{\"task_id\":\"t\",\"status\":\"completed\",\"result\":null}");
	expect_params("daemon.ping", "");
	expect_params("record_api_key_usages",
		"{\"usages\":[{\"api_key_id\":\"k\",\"tool_name\":\"t\",\"status_code\":200},"
		"{\"api_key_id\":\"l\",\"tool_name\":\"\",\"response_time_ms\":7,"
		"\"status_code\":404}]}");
	expect_params("record_api_key_usages", "{\"usages\":[]}");
}
END_TEST

static void expect_refused(int64_t status, const struct pierre_error *error, const char *path)
{
	ck_assert_int_eq(status, PIERRE_INVALID_PARAMS);
	ck_assert_int_eq(error->kind, PIERRE_INVALID_PARAMS);
	ck_assert_int_eq(error->code, 0);
	ck_assert_int_eq(error->outcome, PIERRE_OUTCOME_NONE);
	ck_assert_str_eq(error->path, path);
	ck_assert_ptr_nonnull(strstr(error->message, path));
}

START_TEST(refuses_what_is_no_request)
{
	struct pierre_new_user user = {.display_name = "no address"};
	const struct pierre_api_key_usage_input usages[] = {
		{.api_key_id = "k", .tool_name = "t"}, {.api_key_id = "k"}};
	struct pierre_a2a_client_input client = {.id = "i",
		.name = "n",
		.description = "d",
		.public_key = "p",
		.capabilities = (const char *[]){"a", NULL},
		.capabilities_count = 2};
	char deep[200];
	struct pierre_error error;
	struct pierre *db = fake.db;

	expect_refused(pierre_get_user_async(db, NULL, NULL, NULL, &error), &error, "user_id");
	expect_refused(pierre_create_user_async(db, NULL, NULL, NULL, &error), &error, "user");
	expect_refused(
		pierre_create_user_async(db, &user, NULL, NULL, &error), &error, "user.email");
	user.email = "a\xff@b";
	expect_refused(
		pierre_create_user_async(db, &user, NULL, NULL, &error), &error, "user.email");
	user = (struct pierre_new_user){
		.email = "a@b", .has_created_at = true, .created_at = INT64_MAX};
	expect_refused(
		pierre_create_user_async(db, &user, NULL, NULL, &error), &error, "user.created_at");
	expect_refused(pierre_create_a2a_client_async(db, &client, "k", NULL, NULL, &error), &error,
		"client.capabilities");
	expect_refused(pierre_record_api_key_usages_async(db, usages, 2, NULL, NULL, &error),
		&error, "usages[1].tool_name");
	expect_refused(pierre_update_goal_progress_async(db, "g", NAN, NULL, NULL, NULL, &error),
		&error, "current_value");
	expect_refused(
		pierre_update_goal_progress_async(db, "g", INFINITY, NULL, NULL, NULL, &error),
		&error, "current_value");
	expect_refused(pierre_upsert_user_profile_async(db, "u", "[1]", NULL, NULL, &error), &error,
		"profile_data");
	expect_refused(
		pierre_upsert_user_profile_async(db, "u", "{\"a\":1,\"a\":2}", NULL, NULL, &error),
		&error, "profile_data");
	expect_refused(pierre_upsert_user_profile_async(db, "u", "", NULL, NULL, &error), &error,
		"profile_data");
	memset(deep, '[', 63);
	memset(deep + 63, ']', 63);
	deep[126] = '\0';
	expect_refused(pierre_create_a2a_task_async(db, "c", NULL, "t", deep, NULL, NULL, &error),
		&error, "input_data");
	deep[125] = '\0'; /* with the two around them, 62 levels are the daemon's limit */
	ck_assert_int_gt(
		pierre_create_a2a_task_async(db, "c", NULL, "t", deep + 1, NULL, NULL, &error), 0);
	ck_assert_int_eq(
		pierre_call_async(db, "x", "7 8", NULL, NULL, &error), PIERRE_INVALID_PARAMS);
	ck_assert_int_eq(
		pierre_call_async(db, NULL, NULL, NULL, NULL, NULL), PIERRE_INVALID_PARAMS);
	ck_assert_uint_eq(pierre_pending(db), 1);
}
END_TEST

START_TEST(refuses_requests_over_the_limit)
{
	static char text[1024 * 1024 + 1];
	struct pierre_error error;

	memset(text, 'x', sizeof text - 1);
	ck_assert_int_eq(pierre_get_user_by_email_async(fake.db, text, NULL, NULL, &error),
		PIERRE_TOO_LARGE);
	text[sizeof text - 200] = '\0';
	ck_assert_int_gt(pierre_get_user_by_email_async(fake.db, text, NULL, NULL, &error), 0);
	pierre_set_limits(fake.db, 100, 0);
	ck_assert_int_eq(pierre_get_user_by_email_async(fake.db, text, NULL, NULL, &error),
		PIERRE_TOO_LARGE);
}
END_TEST

/* The result of one typed call, parsed in its callback. */
struct taken {
	int times, status;
	struct pierre_error error;
	void *out;
	size_t count;
	int64_t number;
};

#define TAKER(method, pointer, ...)                                                                \
	static void take_##method(                                                                 \
		struct pierre *db, const struct pierre_answer *answer, void *userdata)             \
	{                                                                                          \
		struct taken *taken = userdata;                                                    \
		pointer *out = NULL;                                                               \
		(void)db;                                                                          \
		taken->times++;                                                                    \
		taken->status = pierre_##method##_result(answer, &out __VA_ARGS__, &taken->error); \
		taken->out = out;                                                                  \
	}

TAKER(get_user, struct pierre_user)
TAKER(get_user_goals, struct pierre_goal, , &taken->count)
TAKER(get_api_key_usage_stats, struct pierre_api_key_usage_stats)
TAKER(get_a2a_task, struct pierre_a2a_task)
TAKER(get_api_key_by_prefix, struct pierre_api_key)
TAKER(get_a2a_client, struct pierre_a2a_client)
TAKER(get_user_profile, char)
TAKER(create_user, char)

static void finish(struct taken *taken, const char *result)
{
	if (fake.peer < 0)
		fake_accept(&fake);
	fake_answer(&fake, fake_line(&fake), result);
	for (int i = 0; i < 500 && taken->times == 0; i++)
		drive(&fake, 1);
	ck_assert_int_eq(taken->times, 1);
}

#define USER_START                                                                                 \
	"{\"id\":\"i\",\"email\":\"\\u00e9\\\"\",\"display_name\":null,\"password_hash\":\"h\","
#define USER_END                                                                                   \
	",\"fitbit_token\":null,\"created_at\":\"2025-06-19T15:44:49.123456Z\","                   \
	"\"last_active\":\"1970-01-01T00:00:00.000000Z\",\"is_active\":true}"

static struct pierre_user *user_from(const char *result, struct taken *taken)
{
	*taken = (struct taken){0};
	ck_assert_int_gt(pierre_get_user_async(fake.db, "i", take_get_user, taken, NULL), 0);
	finish(taken, result);
	return taken->out;
}

START_TEST(takes_objects)
{
	struct taken taken;
	struct pierre_user *user = user_from(USER_START
		"\"strava_token\":{\"expires_at\":\"2025-06-19T15:44:49.123456Z\","
		"\"scope\":\"s\"}" USER_END,
		&taken);

	ck_assert_int_eq(taken.status, 0);
	ck_assert_str_eq(user->id, "i");
	ck_assert_str_eq(user->email, "\xc3\xa9\"");
	ck_assert_ptr_null(user->display_name);
	ck_assert_str_eq(user->strava_token->scope, "s");
	ck_assert_int_eq(user->strava_token->expires_at, TIME);
	ck_assert_ptr_null(user->fitbit_token);
	ck_assert_int_eq(user->created_at, TIME);
	ck_assert_int_eq(user->last_active, 0);
	ck_assert(user->is_active);
	pierre_user_free(user);
	ck_assert_ptr_null(user_from("null", &taken));
	ck_assert_int_eq(taken.status, 0);
	/* Members in another order, and one that a newer daemon may have. */
	user = user_from("{\"new\":[{}],\"is_active\":false,\"email\":\"e\",\"strava_token\":null,"
			 "\"id\":\"\",\"password_hash\":\"\","
			 "\"last_active\":\"2025-06-19T15:44:49.123456Z\","
			 "\"created_at\":\"2025-06-19T15:44:49.123456Z\"}",
		&taken);
	ck_assert_int_eq(taken.status, 0);
	ck_assert_str_eq(user->email, "e");
	ck_assert(!user->is_active);
	pierre_user_free(user);
}
END_TEST

START_TEST(refuses_ill_typed_results)
{
	const char *const bad[] = {
		"7",
		"[]",
		"\"x\"",
		"{}",
		USER_START "\"strava_token\":7" USER_END,
		USER_START "\"strava_token\":{\"scope\":\"\"}" USER_END,
		"{\"id\":7}",
		USER_START "\"strava_token\":null,\"created_at\":\"yesterday\"}",
		"{\"id\":null,\"email\":\"e\"}",
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct taken taken;

		ck_assert_ptr_null(user_from(bad[i], &taken));
		ck_assert_int_eq(taken.status, PIERRE_BAD_ANSWER);
		ck_assert_ptr_nonnull(strstr(taken.error.message, "get_user"));
	}
}
END_TEST

START_TEST(takes_lists)
{
	static const char goal[] =
		"{\"id\":\"1\",\"user_id\":\"u\",\"title\":\"t\",\"goal_type\":\"g\","
		"\"type\":\"g\",\"target_value\":10,"
		"\"target\":10.0,\"current_value\":-0.5,\"current\":1e+308,\"status\":\"active\","
		"\"created_at\":\"2025-06-19T15:44:49.123456Z\","
		"\"updated_at\":\"2025-06-19T15:44:49.123456Z\","
		"\"more\":{\"deep\":[1.50]}}";
	struct taken taken = {0};
	struct pierre_goal *goals;
	char list[2048];

	(void)snprintf(list, sizeof list, "[%s,%s]", goal, goal);
	ck_assert_int_gt(pierre_get_user_goals_async(
				 fake.db, "u", NULL, NULL, take_get_user_goals, &taken, NULL),
		0);
	finish(&taken, list);
	goals = taken.out;
	ck_assert_int_eq(taken.status, 0);
	ck_assert_uint_eq(taken.count, 2);
	ck_assert_str_eq(goals[1].title, "t");
	ck_assert(goals[1].target_value == 10.0 && goals[1].current_value == -0.5 &&
		goals[1].current == 1e308);
	ck_assert_str_eq(goals[1].whole, goal);
	pierre_goal_free(goals);
	taken = (struct taken){.count = 9};
	ck_assert_int_gt(pierre_get_user_goals_async(
				 fake.db, "u", NULL, NULL, take_get_user_goals, &taken, NULL),
		0);
	finish(&taken, "[]");
	ck_assert_int_eq(taken.status, 0);
	ck_assert_ptr_null(taken.out);
	ck_assert_uint_eq(taken.count, 0);
}
END_TEST

START_TEST(takes_maps_texts_and_lists_in_objects)
{
	struct taken taken = {0};
	struct pierre_api_key_usage_stats *stats;
	struct pierre_a2a_client *client;

	ck_assert_int_gt(pierre_get_api_key_usage_stats_async(
				 fake.db, "k", 0, 1, take_get_api_key_usage_stats, &taken, NULL),
		0);
	finish(&taken,
		"{\"api_key_id\":\"k\",\"period_start\":\"1970-01-01T00:00:00.000000Z\","
		"\"period_end\":"
		"\"1970-01-01T00:00:00.000001Z\",\"total_requests\":9223372036854775807,"
		"\"successful_requests\":0,"
		"\"failed_requests\":-1,\"total_response_time_ms\":0,\"tool_usage\":{\"a\":1,"
		"\"\\u00e9\":2}}");
	stats = taken.out;
	ck_assert_int_eq(taken.status, 0);
	ck_assert_int_eq(stats->total_requests, INT64_MAX);
	ck_assert_int_eq(stats->period_end, 1);
	ck_assert_uint_eq(stats->tool_usage_count, 2);
	ck_assert_str_eq(stats->tool_usage[1].name, "\xc3\xa9");
	ck_assert_int_eq(stats->tool_usage[1].count, 2);
	pierre_api_key_usage_stats_free(stats);
	taken = (struct taken){0};
	ck_assert_int_gt(
		pierre_get_a2a_client_async(fake.db, "c", take_get_a2a_client, &taken, NULL), 0);
	finish(&taken,
		"{\"id\":\"c\",\"name\":\"n\",\"description\":\"\",\"public_key\":\"\","
		"\"capabilities\":[\"x\",\"\",\"\\n\"],"
		"\"redirect_uris\":[],\"is_active\":true,"
		"\"created_at\":\"2025-06-19T15:44:49.123456Z\"}");
	client = taken.out;
	ck_assert_int_eq(taken.status, 0);
	ck_assert_uint_eq(client->capabilities_count, 3);
	ck_assert_str_eq(client->capabilities[2], "\n");
	ck_assert_uint_eq(client->redirect_uris_count, 0);
	pierre_a2a_client_free(client);
}
END_TEST

START_TEST(takes_json_and_optional_numbers)
{
	struct taken taken = {0};
	struct pierre_a2a_task *task;
	struct pierre_api_key *key;

	ck_assert_int_gt(
		pierre_get_a2a_task_async(fake.db, "t", take_get_a2a_task, &taken, NULL), 0);
	finish(&taken,
		"{\"id\":\"t\",\"client_id\":\"c\",\"session_id\":null,\"task_type\":\"x\","
		"\"input_data\":null,\"status\":\"pending\","
		"\"created_at\":\"2025-06-19T15:44:49.123456Z\",\"started_at\":null,"
		"\"completed_at\":\"1970-01-01T00:00:00.000000Z\","
		"\"result\":\"a\\u0009b\",\"error\":null}");
	task = taken.out;
	ck_assert_int_eq(taken.status, 0);
	ck_assert_str_eq(task->input_data, "null");
	ck_assert_str_eq(task->result, "\"a\\u0009b\"");
	ck_assert(!task->has_started_at && task->has_completed_at);
	ck_assert_int_eq(task->completed_at, 0);
	pierre_a2a_task_free(task);
	taken = (struct taken){0};
	ck_assert_int_gt(pierre_get_api_key_by_prefix_async(
				 fake.db, "p", "h", take_get_api_key_by_prefix, &taken, NULL),
		0);
	finish(&taken,
		"{\"id\":\"k\",\"user_id\":\"u\",\"name\":\"n\",\"key_prefix\":\"p\","
		"\"key_hash\":\"h\",\"description\":null,"
		"\"tier\":\"trial\",\"rate_limit_requests\":4294967295,"
		"\"rate_limit_window\":4294967296,\"is_active\":true,"
		"\"last_used_at\":null,\"expires_at\":null,"
		"\"created_at\":\"2025-06-19T15:44:49.123456Z\","
		"\"updated_at\":\"2025-06-19T15:44:49.123456Z\"}");
	key = taken.out;
	ck_assert_int_eq(taken.status, PIERRE_BAD_ANSWER); /* one more than the maximum of a u32 */
	ck_assert_ptr_null(key);
}
END_TEST

START_TEST(takes_texts)
{
	struct taken taken = {0};

	ck_assert_int_gt(
		pierre_create_user_async(fake.db, &(struct pierre_new_user){.email = "a@b"},
			take_create_user, &taken, NULL),
		0);
	finish(&taken, "\"6f9619ff\\u002d\"");
	ck_assert_str_eq(taken.out, "6f9619ff-");
	pierre_text_free(taken.out);
	taken = (struct taken){0};
	ck_assert_int_gt(
		pierre_get_user_profile_async(fake.db, "u", take_get_user_profile, &taken, NULL),
		0);
	finish(&taken, "{\"f\":0.1,\"g\":1e+308,\"s\":\"\\u0001\"}");
	ck_assert_str_eq(taken.out, "{\"f\":0.1,\"g\":1e+308,\"s\":\"\\u0001\"}");
	pierre_text_free(taken.out);
	taken = (struct taken){0};
	ck_assert_int_gt(
		pierre_get_user_profile_async(fake.db, "u", take_get_user_profile, &taken, NULL),
		0);
	finish(&taken, "null");
	ck_assert_int_eq(taken.status, 0);
	ck_assert_ptr_null(taken.out);
}
END_TEST

static struct pierre_error error_from(const char *json)
{
	struct ended ended = {0};
	struct pierre_error error;

	pierre_set_repeats(fake.db, false);
	begin(&fake, "update_last_active", "{\"user_id\":\"u\"}", &ended);
	if (fake.peer < 0)
		fake_accept(&fake);
	fake_answer_error(&fake, fake_line(&fake), json);
	drive_until(&fake, &ended);
	ck_assert_int_eq(ended.status, ended.error.kind);
	ck_assert_int_ne(ended.status, 0);
	error = ended.error;
	return error;
}

START_TEST(takes_errors)
{
	struct pierre_error error = error_from(
		"{\"code\":-32602,\"message\":\"m\",\"data\":{\"kind\":\"invalid_params\","
		"\"retryable\":false,\"path\":\"user.email\"}}");
	char text[600];

	ck_assert_int_eq(error.kind, PIERRE_INVALID_PARAMS);
	ck_assert_int_eq(error.code, -32602);
	ck_assert_str_eq(error.message, "m");
	ck_assert_str_eq(error.path, "user.email");
	error = error_from("{\"code\":-32002,\"message\":\"\",\"data\":{\"retryable\":false,"
			   "\"field\":\"email\"}}");
	ck_assert_int_eq(error.kind, PIERRE_CONFLICT);
	ck_assert_str_eq(error.field, "email");
	error = error_from("{\"code\":-32003,\"message\":\"\",\"data\":{\"retryable\":true,"
			   "\"outcome\":\"unknown\"}}");
	ck_assert(error.retryable && error.outcome == PIERRE_OUTCOME_UNKNOWN);
	error = error_from("{\"code\":-32603,\"message\":\"\",\"data\":{\"retryable\":false,"
			   "\"ref\":\"00000000000030f9\"}}");
	ck_assert_uint_eq(error.ref, 0x30f9);
	error = error_from("{\"code\":-32603,\"message\":\"\",\"data\":{\"retryable\":false,"
			   "\"ref\":\"fedcba9876543210\"}}");
	ck_assert_uint_eq(error.ref, UINT64_C(0xfedcba9876543210));
	error = error_from("{\"code\":-32603,\"message\":\"\",\"data\":{\"retryable\":false,"
			   "\"ref\":\"fedcba98765432100\"}}");
	ck_assert_uint_eq(error.ref, 0);
	error = error_from("{\"code\":-1,\"message\":\"new\"}");
	ck_assert_int_eq(error.kind, PIERRE_OTHER_ERROR);
	ck_assert_int_eq(error.code, -1);
	error = error_from("{}");
	ck_assert_int_eq(error.kind, PIERRE_BAD_ANSWER);
	error = error_from("{\"code\":-32001,\"message\":7,\"data\":[]}");
	ck_assert_int_eq(error.kind, PIERRE_NOT_FOUND);
	/* A message that is too long is cut between characters. */
	(void)strcpy(text, "{\"code\":-32001,\"message\":\"x");
	for (int i = 0; i < 200; i++)
		(void)strcat(text, "\xc3\xa9");
	(void)strcat(text, "\"}");
	error = error_from(text);
	ck_assert_uint_eq(strlen(error.message), PIERRE_MESSAGE_SIZE - 1);
	ck_assert_int_eq((unsigned char)error.message[PIERRE_MESSAGE_SIZE - 2], 0xa9);
}
END_TEST

TCase *values_case(void)
{
	TCase *tcase = tcase_create("values");

	tcase_add_checked_fixture(tcase, open_fake, close_fake);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, sends_parameter_objects);
	tcase_add_test(tcase, sends_every_kind_of_parameter);
	tcase_add_test(tcase, refuses_what_is_no_request);
	tcase_add_test(tcase, refuses_requests_over_the_limit);
	tcase_add_test(tcase, takes_objects);
	tcase_add_test(tcase, refuses_ill_typed_results);
	tcase_add_test(tcase, takes_lists);
	tcase_add_test(tcase, takes_maps_texts_and_lists_in_objects);
	tcase_add_test(tcase, takes_json_and_optional_numbers);
	tcase_add_test(tcase, takes_texts);
	tcase_add_test(tcase, takes_errors);
	return tcase;
}
