/* Callbacks, blocking calls, the socket's path, times. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* A daemon in another thread, for blocking calls. It answers a number of requests, or
 * disconnects instead of the last answer. */
struct script {
	struct fake *fake;
	const char *results[4]; /* NULL: disconnect */
	int count;
};

static void *play(void *argument)
{
	struct script *script = argument;

	fake_accept(script->fake);
	for (int i = 0; i < script->count; i++) {
		const char *line = fake_line(script->fake);

		if (script->results[i] == NULL)
			fake_accept(script->fake);
		else
			fake_answer(script->fake, line, script->results[i]);
	}
	return NULL;
}

START_TEST(blocking_calls)
{
	struct pierre *db = fake.db;
	struct script script = {.fake = &fake,
		.count = 4,
		.results = {"7", NULL, "\"text\"", "{\"user_count\":2,\"api_key_count\":3}"}};
	struct pierre_system_stats *stats;
	struct pierre_error error;
	pthread_t thread;
	int64_t count = 0;
	char *json;

	fake.db = NULL; /* driven by the calls themselves */
	ck_assert_int_eq(pthread_create(&thread, NULL, play, &script), 0);
	ck_assert_int_eq(pierre_get_user_count(db, &count, &error), 0);
	ck_assert_int_eq(count, 7);
	ck_assert_int_eq(pierre_call(db, "get_user_profile", "[\"u\"]", &json, &error),
		0); /* sent again after the disconnect */
	ck_assert_str_eq(json, "\"text\"");
	pierre_text_free(json);
	ck_assert_int_eq(pierre_get_system_stats(db, &stats, &error), 0);
	ck_assert_int_eq(stats->api_key_count, 3);
	pierre_system_stats_free(stats);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	fake.db = db;
}
END_TEST

START_TEST(results_stay_untouched_on_failure)
{
	struct pierre_user *user = (struct pierre_user *)&fake;
	struct pierre_error error;
	int64_t count = 5;

	pierre_set_timeouts(fake.db, 0, 30);
	ck_assert_int_eq(pierre_get_user(fake.db, "u", &user, &error), PIERRE_NO_ANSWER);
	ck_assert_ptr_eq(user, (struct pierre_user *)&fake);
	ck_assert_int_eq(pierre_get_user_count(fake.db, &count, NULL), PIERRE_NO_ANSWER);
	ck_assert_int_eq(count, 5);
}
END_TEST

struct chain {
	int left, status;
	struct pierre_error error;
};

static void call_again(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	struct chain *chain = userdata;
	int64_t count;

	chain->status = pierre_get_user_count_result(answer, &count, &chain->error);
	ck_assert_int_eq(pierre_get_user_count(db, &count, &chain->error), PIERRE_MISUSE);
	ck_assert_int_eq(pierre_wait(db, 0), PIERRE_MISUSE);
	pierre_process(db); /* does nothing here */
	if (--chain->left > 0)
		ck_assert_int_gt(pierre_get_user_count_async(db, call_again, chain, NULL), 0);
}

START_TEST(callbacks_may_call)
{
	struct chain chain = {.left = 5, .status = -1};

	ck_assert_int_gt(pierre_get_user_count_async(fake.db, call_again, &chain, NULL), 0);
	fake_accept(&fake);
	for (int i = 0; i < 5; i++)
		fake_answer(&fake, fake_line(&fake), "1");
	drive(&fake, 3);
	ck_assert_int_eq(chain.left, 0);
	ck_assert_int_eq(chain.status, 0);
}
END_TEST

static void take_wrong(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	struct pierre_user *user = NULL;

	(void)db;
	*(int *)userdata = pierre_get_user_by_email_result(answer, &user, NULL);
	ck_assert_ptr_null(user);
}

START_TEST(another_methods_result_is_refused)
{
	int status = 0;

	ck_assert_int_gt(pierre_get_user_async(fake.db, "u", take_wrong, &status, NULL), 0);
	fake_accept(&fake);
	fake_answer(&fake, fake_line(&fake), "null");
	drive(&fake, 3);
	ck_assert_int_eq(status, PIERRE_MISUSE);
}
END_TEST

static void free_handle(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	(void)answer;
	++*(int *)userdata;
	pierre_free(db);
	ck_assert_int_eq(pierre_call_async(db, "x", NULL, NULL, NULL, NULL), PIERRE_MISUSE);
}

START_TEST(callbacks_may_free_the_handle)
{
	int called = 0;

	for (int i = 0; i < 3; i++)
		ck_assert_int_gt(
			pierre_get_user_count_async(fake.db, free_handle, &called, NULL), 0);
	fake_accept(&fake);
	if (_i == 0) { /* with answers */
		char lines[3][128];

		for (int i = 0; i < 3; i++)
			(void)snprintf(lines[i], sizeof lines[i], "%s", fake_line(&fake));
		for (int i = 0; i < 3; i++)
			fake_answer(&fake, lines[i], "1");
		pierre_process(fake.db);
	} else { /* with failures */
		(void)fake_line(&fake);
		fake_send(&fake, "garbage\n");
		(void)pierre_wait(fake.db, -1);
	}
	fake.db = NULL;
	ck_assert_int_eq(called, 1);
}
END_TEST

/* What was not sent when a callback freed the handle is not sent later in the same iteration,
 * either. */
START_TEST(a_freed_handle_sends_nothing)
{
	struct ended first = {0};
	int called = 0;

	begin(&fake, "get_user_count", NULL, &first);
	fake_accept(&fake);
	fake_answer(&fake, fake_line(&fake), "1");
	drive_until(&fake, &first);
	ended_free(&first);
	pierre_set_timeouts(fake.db, 1000, 1);
	ck_assert_int_gt(pierre_get_user_count_async(fake.db, free_handle, &called, NULL), 0);
	pierre_set_timeouts(fake.db, 1000, 0);
	ck_assert_int_gt(pierre_update_last_active_async(fake.db, "u", NULL, NULL, NULL), 0);
	while (pierre_timeout_ms(fake.db) != 0)
		(void)usleep(1000);
	pierre_process(fake.db);
	fake.db = NULL;
	ck_assert_int_eq(called, 1);
	ck_assert(!fake_has_line(&fake));
}
END_TEST

START_TEST(freeing_forgets_calls)
{
	struct ended sent = {0}, queued = {0};

	begin(&fake, "get_user_count", NULL, &sent);
	fake_accept(&fake);
	(void)fake_line(&fake);
	begin(&fake, "get_user_count", NULL, &queued);
	pierre_free(fake.db);
	fake.db = NULL;
	ck_assert_int_eq(sent.times + queued.times, 0);
	pierre_free(NULL);
	pierre_text_free(NULL);
	pierre_user_free(NULL);
}
END_TEST

START_TEST(waiting)
{
	struct ended ended = {0};

	ck_assert_int_eq(pierre_wait(fake.db, 0), 0);
	begin(&fake, "get_user_count", NULL, &ended);
	ck_assert_int_eq(pierre_wait(fake.db, 20), PIERRE_NO_ANSWER);
	ck_assert_int_eq(ended.times, 0);
	fake_accept(&fake);
	fake_answer(&fake, fake_line(&fake), "1");
	ck_assert_int_eq(pierre_wait(fake.db, -1), 0);
	ck_assert_int_eq(ended.times, 1);
	ended_free(&ended);
}
END_TEST

static void expect_socket(const char *expected)
{
	struct pierre_error error;
	char path[256];

	ck_assert_int_eq(pierre_default_socket(path, sizeof path, &error), 0);
	ck_assert_str_eq(path, expected);
}

START_TEST(the_sockets_path)
{
	struct pierre_error error;
	char path[256], expected[256], folder[64], text[200];
	bool made;

	(void)setenv("PIERRE_DBD_SOCKET", "/a/b", 1);
	(void)setenv("RUNTIME_DIRECTORY", "/run/x:/run/y", 1);
	(void)setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	expect_socket("/a/b");
	(void)setenv("PIERRE_DBD_SOCKET", "", 1);
	expect_socket("/run/x/pierre-dbd.sock");
	(void)unsetenv("RUNTIME_DIRECTORY");
	expect_socket("/run/user/7/pierre-dbd.sock");
	(void)unsetenv("XDG_RUNTIME_DIR");
	(void)snprintf(folder, sizeof folder, "/tmp/pierre-dbd-%u", (unsigned)geteuid());
	(void)snprintf(expected, sizeof expected, "%s/pierre-dbd.sock", folder);
	made = mkdir(folder, 0700) == 0;
	expect_socket(expected);
	if (made) { /* never touched while it is in use */
		ck_assert_int_eq(chmod(folder, 0755), 0);
		ck_assert_int_eq(
			pierre_default_socket(path, sizeof path, &error), PIERRE_NO_CONNECTION);
		ck_assert_ptr_nonnull(strstr(error.message, folder));
		ck_assert_int_eq(rmdir(folder), 0);
		ck_assert_int_eq(symlink("/tmp", folder), 0);
		ck_assert_int_eq(
			pierre_default_socket(path, sizeof path, &error), PIERRE_NO_CONNECTION);
		ck_assert_int_eq(unlink(folder), 0);
	}
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	(void)setenv("PIERRE_DBD_SOCKET", text, 1);
	ck_assert_int_eq(pierre_default_socket(path, sizeof path, &error), PIERRE_NO_CONNECTION);
}
END_TEST

START_TEST(too_long_a_path)
{
	char text[200];
	struct pierre *db;
	struct pierre_error error;

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	db = pierre_new(text);
	pierre_set_timeouts(db, 0, 100);
	ck_assert_int_eq(pierre_call(db, "daemon.ping", NULL, NULL, &error), PIERRE_NO_CONNECTION);
	ck_assert_ptr_nonnull(strstr(error.message, "too long"));
	pierre_free(db);
}
END_TEST

START_TEST(times)
{
	char text[PIERRE_TIME_SIZE];
	int64_t time = 3;

	ck_assert(pierre_time_parse("2025-06-19T17:44:49.1234569+02:00", &time));
	ck_assert(pierre_time_format(time, text));
	ck_assert_str_eq(text, "2025-06-19T15:44:49.123456Z");
	ck_assert(!pierre_time_parse("2025-06-19", &time));
	ck_assert(!pierre_time_parse(NULL, &time));
	ck_assert(!pierre_time_format(INT64_MIN, text));
	ck_assert_str_eq(text, "");
	ck_assert(pierre_time_now() > time);
}
END_TEST

START_TEST(names)
{
	ck_assert_str_eq(pierre_kind_name(PIERRE_NOT_FOUND), "not_found");
	ck_assert_str_eq(pierre_kind_name(PIERRE_BROKEN), "broken");
	ck_assert_str_eq(pierre_kind_name(0), "ok");
	ck_assert_str_eq(pierre_kind_name(-12345), "unknown");
	ck_assert_str_eq(pierre_kind_name(7), "unknown");
	ck_assert_str_eq(pierre_kind_name(-2147483647 - 1), "unknown");
	ck_assert(*pierre_version() != '\0');
}
END_TEST

TCase *handle_case(void)
{
	TCase *tcase = tcase_create("handle");

	tcase_add_checked_fixture(tcase, open_fake, close_fake);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, blocking_calls);
	tcase_add_test(tcase, results_stay_untouched_on_failure);
	tcase_add_test(tcase, callbacks_may_call);
	tcase_add_test(tcase, another_methods_result_is_refused);
	tcase_add_loop_test(tcase, callbacks_may_free_the_handle, 0, 2);
	tcase_add_test(tcase, a_freed_handle_sends_nothing);
	tcase_add_test(tcase, freeing_forgets_calls);
	tcase_add_test(tcase, waiting);
	tcase_add_test(tcase, the_sockets_path);
	tcase_add_test(tcase, too_long_a_path);
	tcase_add_test(tcase, times);
	tcase_add_test(tcase, names);
	return tcase;
}
