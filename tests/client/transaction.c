/* Transactions: what they send, and how their results are read. */
#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "suites.h"

static struct fake fake;
static struct pierre_transaction *calls;

static void open_transaction(void)
{
	fake_open(&fake);
	calls = pierre_transaction_new();
	ck_assert_ptr_nonnull(calls);
}

static void close_transaction(void)
{
	pierre_transaction_free(calls);
	fake_close(&fake);
}

struct run {
	int times, status;
	struct pierre_error error;
};

static void on_run(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	struct run *run = userdata;

	(void)db;
	run->times++;
	run->status = pierre_transaction_result(calls, answer, &run->error);
}

/* Queues it; the line that arrives. */
static const char *run_now(struct run *run)
{
	ck_assert_int_gt(pierre_transaction_run_async(fake.db, calls, on_run, run, NULL), 0);
	fake_accept(&fake);
	return fake_line(&fake);
}

static void add_two(void)
{
	struct pierre_new_user user = {.email = "a@b", .password = "p\"w"};
	struct pierre_error error;

	ck_assert_int_eq(pierre_add_create_user(calls, &user, &error), 0);
	ck_assert_int_eq(pierre_add_get_user_count(calls, &error), 1);
	ck_assert_int_eq(pierre_add_get_user_goals(calls, "u", NULL, NULL, &error), 2);
	ck_assert_int_eq(pierre_add_update_last_active(calls, "u", &error), 3);
	ck_assert_int_eq(pierre_transaction_count(calls), 4);
}

START_TEST(sends_calls_and_reads_each_result)
{
	struct run run = {0};
	struct pierre_goal *goals = (void *)1;
	int64_t users = 0;
	size_t count = 1;
	char *id, expected[512];
	const char *line;

	add_two();
	ck_assert_int_eq(pierre_set_key(fake.db, "k", NULL), 0);
	line = run_now(&run);
	(void)snprintf(expected, sizeof expected,
		"{\"jsonrpc\":\"2.0\",\"id\":%lld,\"method\":\"daemon.transaction\","
		"\"idempotency_key\":\"k\",\"params\":{\"calls\":["
		"{\"method\":\"create_user\",\"params\":{\"user\":{\"email\":\"a@b\","
		"\"password\":\"p\\\"w\"}}},{\"method\":\"get_user_count\"},"
		"{\"method\":\"get_user_goals\",\"params\":{\"user_id\":\"u\"}},"
		"{\"method\":\"update_last_active\",\"params\":{\"user_id\":\"u\"}}]}}",
		fake_id(line));
	ck_assert_str_eq(line, expected);
	ck_assert_ptr_null(pierre_transaction_answer(calls, 0));
	fake_answer(&fake, line, "[\"i\\u0064\",7,[],null]");
	drive(&fake, 20);
	ck_assert_int_eq(run.times, 1);
	ck_assert_int_eq(run.status, 0);
	ck_assert_int_eq(
		pierre_create_user_result(pierre_transaction_answer(calls, 0), &id, NULL), 0);
	ck_assert_str_eq(id, "id");
	pierre_text_free(id);
	ck_assert_int_eq(
		pierre_get_user_count_result(pierre_transaction_answer(calls, 1), &users, NULL), 0);
	ck_assert_int_eq(users, 7);
	ck_assert_int_eq(pierre_get_user_goals_result(
				 pierre_transaction_answer(calls, 2), &goals, &count, NULL),
		0);
	ck_assert_ptr_null(goals);
	ck_assert_uint_eq(count, 0);
	ck_assert_int_eq(
		pierre_update_last_active_result(pierre_transaction_answer(calls, 3), NULL), 0);
}
END_TEST

START_TEST(a_result_outlives_its_transaction)
{
	struct run run = {0};
	char *id;

	add_two();
	fake_answer(&fake, run_now(&run), "[\"lasting\",7,[],null]");
	drive(&fake, 20);
	ck_assert_int_eq(
		pierre_create_user_result(pierre_transaction_answer(calls, 0), &id, NULL), 0);
	pierre_transaction_free(calls);
	calls = NULL;
	ck_assert_str_eq(id, "lasting");
	pierre_text_free(id);
}
END_TEST

START_TEST(is_sent_again_with_its_key)
{
	struct run run = {0};
	char first[512];

	add_two();
	(void)snprintf(first, sizeof first, "%s", run_now(&run));
	ck_assert_ptr_nonnull(strstr(first, "\"idempotency_key\":\""));
	fake_accept(&fake); /* hangs up first */
	ck_assert_str_eq(fake_line(&fake), first);
	fake_answer(&fake, first, "[\"i\",7,[],null]");
	drive(&fake, 20);
	ck_assert_int_eq(run.status, 0);
}
END_TEST

START_TEST(refuses_other_methods_and_places)
{
	struct run run = {0};
	struct pierre_error error;
	int64_t users;

	add_two();
	fake_answer(&fake, run_now(&run), "[\"i\",7,[],null]");
	drive(&fake, 20);
	ck_assert_int_eq(
		pierre_get_user_count_result(pierre_transaction_answer(calls, 0), &users, &error),
		PIERRE_MISUSE);
	for (int index = -1; index <= 4; index += 5) {
		ck_assert_ptr_null(pierre_transaction_answer(calls, index));
		ck_assert_int_eq(pierre_get_user_count_result(NULL, &users, &error), PIERRE_MISUSE);
	}
	ck_assert_int_eq(pierre_add_get_user_count(calls, &error), PIERRE_MISUSE);
}
END_TEST

START_TEST(gives_the_error_with_its_place)
{
	struct run run = {0};

	add_two();
	fake_answer_error(&fake, run_now(&run),
		"{\"code\":-32001,\"message\":\"no\",\"data\":{\"kind\":\"not_found\","
		"\"retryable\":false,\"index\":3}}");
	drive(&fake, 20);
	ck_assert_int_eq(run.status, PIERRE_NOT_FOUND);
	ck_assert_int_eq(run.error.index, 3);
	ck_assert_ptr_null(pierre_transaction_answer(calls, 0));
	/* It may run again. */
	ck_assert_int_gt(pierre_transaction_run_async(fake.db, calls, on_run, &run, NULL), 0);
	fake_answer_error(&fake, fake_line(&fake),
		"{\"code\":-32003,\"message\":\"no\",\"data\":{\"kind\":\"unavailable\","
		"\"retryable\":true}}");
	drive(&fake, 20);
	ck_assert_int_eq(run.times, 2);
	ck_assert_int_eq(run.error.index, -1);
}
END_TEST

START_TEST(refuses_answers_that_do_not_fit)
{
	static const char *const answers[] = {"[]", "null", "[1,2,3]", "[1,2,3,4,5]", "{\"a\":1}"};

	add_two();
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct run run = {0};

		ck_assert_int_gt(
			pierre_transaction_run_async(fake.db, calls, on_run, &run, NULL), 0);
		if (i == 0)
			fake_accept(&fake);
		fake_answer(&fake, fake_line(&fake), answers[i]);
		drive(&fake, 20);
		ck_assert_int_eq(run.status, PIERRE_BAD_ANSWER);
		ck_assert_ptr_null(pierre_transaction_answer(calls, 0));
	}
}
END_TEST

START_TEST(keeps_nothing_of_a_refused_call)
{
	struct run run = {0};
	struct pierre_error error;
	const char *line;

	ck_assert_int_eq(pierre_add_get_user_count(calls, &error), 0);
	ck_assert_int_eq(
		pierre_add_upsert_user_profile(calls, "u", "[1]", &error), PIERRE_INVALID_PARAMS);
	ck_assert_str_eq(error.path, "profile_data");
	ck_assert_int_eq(pierre_add_get_user(calls, "\xff", &error), PIERRE_INVALID_PARAMS);
	ck_assert_int_eq(pierre_add_get_user(calls, "u", &error), 1);
	line = run_now(&run);
	ck_assert_ptr_nonnull(strstr(line,
		"{\"calls\":[{\"method\":\"get_user_count\"},{\"method\":\"get_user\",\"params\":"
		"{\"user_id\":\"u\"}}]}"));
}
END_TEST

START_TEST(holds_at_most_a_hundred)
{
	struct pierre_error error;

	for (int i = 0; i < PIERRE_TRANSACTION_MAX; i++)
		ck_assert_int_eq(pierre_add_get_user(calls, "u", &error), i);
	ck_assert_int_eq(pierre_add_get_user(calls, "u", &error), PIERRE_MISUSE);
	ck_assert_int_eq(pierre_transaction_count(calls), PIERRE_TRANSACTION_MAX);
}
END_TEST

TCase *transaction_case(void)
{
	TCase *tcase = tcase_create("transaction");

	tcase_add_checked_fixture(tcase, open_transaction, close_transaction);
	tcase_add_test(tcase, sends_calls_and_reads_each_result);
	tcase_add_test(tcase, a_result_outlives_its_transaction);
	tcase_add_test(tcase, is_sent_again_with_its_key);
	tcase_add_test(tcase, refuses_other_methods_and_places);
	tcase_add_test(tcase, gives_the_error_with_its_place);
	tcase_add_test(tcase, refuses_answers_that_do_not_fit);
	tcase_add_test(tcase, keeps_nothing_of_a_refused_call);
	tcase_add_test(tcase, holds_at_most_a_hundred);
	return tcase;
}
