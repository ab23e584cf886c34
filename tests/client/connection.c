/* Connects, disconnects, resent calls, timeouts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake.h"
#include "suites.h"

#define READ "get_user"
#define READ_PARAMS "{\"user_id\":\"u\"}"
#define WRITE "update_last_active"

static struct fake fake;

static void open_fake(void)
{
	fake_open(&fake);
}

static void close_fake(void)
{
	fake_close(&fake);
}

static void expect_end(struct ended *ended, int status, int outcome)
{
	drive_until(&fake, ended);
	ck_assert_msg(ended->status == status, "status %d (%s), expected %d", ended->status,
		ended->error.message, status);
	if (status != 0)
		ck_assert_int_eq(ended->error.outcome, outcome);
	ended_free(ended);
}

START_TEST(says_when_nobody_is_there)
{
	struct ended ended = {0};

	fake_stop_listening(&fake);
	pierre_set_timeouts(fake.db, 0, 1000);
	begin(&fake, WRITE, READ_PARAMS, &ended);
	drive_until(&fake, &ended);
	ck_assert_int_eq(ended.status, PIERRE_NO_CONNECTION);
	ck_assert(ended.error.retryable && ended.error.outcome == PIERRE_OUTCOME_NONE);
	ck_assert_ptr_nonnull(strstr(ended.error.message, fake.path));
	ck_assert_ptr_nonnull(strstr(ended.error.message, "is pierre-dbd running?"));
}
END_TEST

START_TEST(waits_for_a_daemon_that_comes)
{
	struct ended ended = {0};

	fake_stop_listening(&fake);
	begin(&fake, WRITE, READ_PARAMS, &ended);
	drive(&fake, 40);
	ck_assert_int_eq(ended.times, 0);
	ck_assert_int_eq(pierre_fd(fake.db), -1);
	fake_listen(&fake);
	fake_accept(&fake);
	fake_answer(&fake, fake_line(&fake), "null");
	expect_end(&ended, 0, 0);
}
END_TEST

START_TEST(one_attempt_is_made_even_without_time)
{
	struct ended ended = {0};

	fake_stop_listening(&fake);
	pierre_set_timeouts(fake.db, 0, 1000);
	begin(&fake, READ, READ_PARAMS, &ended);
	expect_end(&ended, PIERRE_NO_CONNECTION, PIERRE_OUTCOME_NONE);
	fake_listen(&fake);
	begin(&fake, READ, READ_PARAMS, &ended); /* within the pause after the failed attempt */
	fake_accept(&fake);
	fake_answer(&fake, fake_line(&fake), "null");
	expect_end(&ended, 0, 0);
}
END_TEST

START_TEST(reads_are_sent_again_once)
{
	struct ended ended = {0};
	char first[256];

	begin(&fake, READ, READ_PARAMS, &ended);
	fake_accept(&fake);
	(void)snprintf(first, sizeof first, "%s", fake_line(&fake));
	fake_accept(&fake); /* disconnects first */
	ck_assert_str_eq(fake_line(&fake), first);
	fake_hang_up(&fake);
	expect_end(&ended, PIERRE_BROKEN, PIERRE_OUTCOME_NONE);
}
END_TEST

/* The library cannot know whether a newer method takes a key. */
START_TEST(writes_without_a_key_are_never_sent_again)
{
	struct ended write = {0}, read = {0}, unknown = {0}, own = {0};

	begin(&fake, "some_newer_method", NULL, &unknown);
	begin(&fake, "migrate", NULL, &own);
	pierre_set_repeats(fake.db, false);
	begin(&fake, WRITE, READ_PARAMS, &write);
	begin(&fake, READ, READ_PARAMS, &read);
	fake_accept(&fake);
	for (int i = 0; i < 4; i++)
		ck_assert_ptr_null(strstr(fake_line(&fake), "idempotency_key"));
	fake_accept(&fake);
	expect_end(&write, PIERRE_BROKEN, PIERRE_OUTCOME_UNKNOWN);
	expect_end(&unknown, PIERRE_BROKEN, PIERRE_OUTCOME_UNKNOWN);
	expect_end(&own, PIERRE_BROKEN, PIERRE_OUTCOME_UNKNOWN);
	fake_answer(&fake, fake_line(&fake), "null"); /* the read */
	expect_end(&read, 0, 0);
	ck_assert(!fake_has_line(&fake));
}
END_TEST

START_TEST(writes_are_sent_again_with_their_keys)
{
	struct ended first = {0}, second = {0};
	char lines[2][256];

	begin(&fake, WRITE, READ_PARAMS, &first);
	begin(&fake, WRITE, READ_PARAMS, &second);
	fake_accept(&fake);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(lines[i], sizeof lines[i], "%s", fake_line(&fake));
		ck_assert_ptr_nonnull(strstr(lines[i], "\"idempotency_key\":\""));
	}
	ck_assert_str_ne(strchr(lines[0], ','), strchr(lines[1], ','));
	for (int times = 0; times < 4; times++) {
		fake_accept(&fake); /* hangs up first */
		for (int i = 0; i < 2; i++)
			ck_assert_str_eq(fake_line(&fake), lines[i]);
	}
	fake_answer(&fake, lines[1], "2");
	fake_answer(&fake, lines[0], "1");
	expect_end(&first, 0, 0);
	expect_end(&second, 0, 0);
}
END_TEST

START_TEST(a_key_of_the_caller)
{
	struct ended ended = {0};
	struct pierre_error error;
	char key[66];

	memset(key, 'k', 65);
	key[65] = '\0';
	ck_assert_int_eq(pierre_set_key(fake.db, key, &error), PIERRE_INVALID_PARAMS);
	ck_assert_int_eq(pierre_set_key(fake.db, "", &error), PIERRE_INVALID_PARAMS);
	ck_assert_int_eq(pierre_set_key(fake.db, NULL, NULL), PIERRE_INVALID_PARAMS);
	ck_assert_int_eq(pierre_set_key(fake.db, "\xFF", NULL), PIERRE_INVALID_PARAMS);
	ck_assert_int_eq(pierre_set_key(fake.db, key + 1, &error), 0);
	ck_assert_int_eq(pierre_set_key(fake.db, "a\"b", &error), 0);
	begin(&fake, WRITE, READ_PARAMS, &ended);
	fake_accept(&fake);
	ck_assert_ptr_nonnull(strstr(fake_line(&fake), "\"idempotency_key\":\"a\\\"b\""));
	pierre_set_timeouts(fake.db, 1000, 1000);
	begin(&fake, WRITE, READ_PARAMS, &ended); /* the key was for one call */
	ck_assert_ptr_null(strstr(fake_line(&fake), "\"a\\\"b\""));
}
END_TEST

#define ERROR_OF(code, retryable, outcome)                                                         \
	"{\"code\":" code ",\"message\":\"m\",\"data\":{\"kind\":\"k\",\"retryable\":" retryable   \
	",\"outcome\":\"" outcome "\"}}"

/* An answer that leaves the outcome open counts as little as a broken connection; so does one that
 * says that nothing was done, as long as an earlier attempt is open. */
START_TEST(open_outcomes_are_asked_for)
{
	static const char *const errors[] = {ERROR_OF("-32004", "false", "unknown"),
		ERROR_OF("-32003", "true", "none"), ERROR_OF("-32010", "true", "none"),
		ERROR_OF("-32004", "false", "none")};
	struct ended ended = {0};
	char line[256];

	begin(&fake, WRITE, READ_PARAMS, &ended);
	fake_accept(&fake);
	(void)snprintf(line, sizeof line, "%s", fake_line(&fake));
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		fake_answer_error(&fake, line, errors[i]);
		ck_assert_str_eq(fake_line(&fake), line);
		ck_assert_int_eq(ended.times, 0);
	}
	fake_answer_error(&fake, line, ERROR_OF("-32002", "false", "none")); /* conflict */
	expect_end(&ended, PIERRE_CONFLICT, PIERRE_OUTCOME_NONE);
	begin(&fake, WRITE, READ_PARAMS, &ended);
	fake_answer_error(&fake, fake_line(&fake), ERROR_OF("-32003", "true", "none"));
	expect_end(&ended, PIERRE_UNAVAILABLE, PIERRE_OUTCOME_NONE); /* the first attempt */
	ck_assert(!fake_has_line(&fake));
}
END_TEST

START_TEST(unknown_when_no_daemon_came_back)
{
	struct ended ended = {0}, unsent = {0};

	pierre_set_timeouts(fake.db, 10, 200);
	begin(&fake, WRITE, READ_PARAMS, &ended);
	fake_accept(&fake);
	(void)fake_line(&fake);
	fake_stop_listening(&fake);
	fake_hang_up(&fake);
	drive(&fake, 5);
	begin(&fake, WRITE, READ_PARAMS, &unsent);
	expect_end(&unsent, PIERRE_NO_CONNECTION, PIERRE_OUTCOME_NONE);
	ck_assert_int_eq(ended.times, 0);
	drive_until(&fake, &ended);
	ck_assert_int_eq(ended.error.outcome, PIERRE_OUTCOME_UNKNOWN);
	ended_free(&ended);
}
END_TEST

START_TEST(overloaded_while_the_outcome_is_open)
{
	struct ended ended = {0}, read = {0};
	char line[256];

	begin(&fake, WRITE, READ_PARAMS, &ended);
	fake_accept(&fake);
	(void)snprintf(line, sizeof line, "%s", fake_line(&fake));
	fake_accept(&fake);
	ck_assert_str_eq(fake_line(&fake), line);
	begin(&fake, READ, READ_PARAMS, &read);
	(void)fake_line(&fake);
	fake_send(&fake,
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":" ERROR_OF(
			"-32006", "true", "none") "}\n");
	expect_end(&read, PIERRE_OVERLOADED, PIERRE_OUTCOME_NONE);
	fake_accept(&fake);
	ck_assert_str_eq(fake_line(&fake), line);
	fake_answer(&fake, line, "null");
	expect_end(&ended, 0, 0);
}
END_TEST

START_TEST(unsent_writes_wait_for_the_next_connection)
{
	struct ended first = {0}, write = {0};

	begin(&fake, READ, READ_PARAMS, &first);
	fake_accept(&fake);
	fake_answer(&fake, fake_line(&fake), "null");
	expect_end(&first, 0, 0);
	fake_hang_up(&fake); /* the library has not noticed: its next write fails, and nothing of
	                        it was read */
	begin(&fake, WRITE, READ_PARAMS, &write);
	fake_accept(&fake);
	fake_answer(&fake, fake_line(&fake), "null");
	expect_end(&write, 0, 0);
}
END_TEST

START_TEST(notices_an_idle_connection_that_ends)
{
	struct ended ended = {0};

	begin(&fake, READ, READ_PARAMS, &ended);
	fake_accept(&fake);
	fake_answer(&fake, fake_line(&fake), "null");
	expect_end(&ended, 0, 0);
	ck_assert_int_ge(pierre_fd(fake.db), 0);
	ck_assert_uint_eq(pierre_events(fake.db), PIERRE_EVENT_READ);
	ck_assert_int_eq(pierre_timeout_ms(fake.db), -1);
	fake_hang_up(&fake);
	drive(&fake, 2);
	ck_assert_int_eq(pierre_fd(fake.db), -1);
	ck_assert_int_eq(pierre_timeout_ms(fake.db), -1);
}
END_TEST

START_TEST(half_a_line_is_no_answer_yet)
{
	struct ended ended = {0};
	const char *line;
	char answer[128];

	pierre_set_repeats(fake.db, false);
	begin(&fake, WRITE, READ_PARAMS, &ended);
	fake_accept(&fake);
	line = fake_line(&fake);
	(void)snprintf(answer, sizeof answer, "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":null}\n",
		fake_id(line));
	for (size_t i = 0; answer[i] != '\0'; i++) {
		char byte[2] = {answer[i], '\0'};

		ck_assert_int_eq(ended.times, 0);
		fake_send(&fake, byte);
		drive(&fake, 1);
	}
	expect_end(&ended, 0, 0);
	begin(&fake, WRITE, READ_PARAMS, &ended);
	(void)fake_line(&fake);
	fake_send(&fake, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":nu");
	fake_hang_up(&fake);
	expect_end(&ended, PIERRE_BROKEN, PIERRE_OUTCOME_UNKNOWN);
}
END_TEST

START_TEST(late_answers_are_dropped)
{
	struct ended late = {0}, write = {0}, cancelled = {0}, next = {0};
	char lines[3][256];
	int64_t number;

	pierre_set_timeouts(fake.db, 1000, 40);
	begin(&fake, READ, READ_PARAMS, &late);
	begin(&fake, WRITE, READ_PARAMS, &write);
	number = pierre_call_async(fake.db, READ, READ_PARAMS, note_end, &cancelled, NULL);
	fake_accept(&fake);
	for (int i = 0; i < 3; i++)
		(void)snprintf(lines[i], sizeof lines[i], "%s", fake_line(&fake));
	ck_assert(pierre_cancel(fake.db, number));
	ck_assert(!pierre_cancel(fake.db, number));
	ck_assert(!pierre_cancel(fake.db, 99));
	expect_end(&late, PIERRE_NO_ANSWER, PIERRE_OUTCOME_NONE);
	expect_end(&write, PIERRE_NO_ANSWER, PIERRE_OUTCOME_UNKNOWN);
	ck_assert_uint_eq(pierre_pending(fake.db), 0);
	pierre_set_timeouts(fake.db, 1000, 5000);
	begin(&fake, READ, READ_PARAMS, &next);
	for (int i = 0; i < 3; i++)
		fake_answer(&fake, lines[i], "{\"late\":true}");
	drive(&fake, 3);
	ck_assert_int_eq(next.times, 0);
	fake_answer(&fake, fake_line(&fake), "{\"mine\":1}");
	drive_until(&fake, &next);
	ck_assert_str_eq(next.json, "{\"mine\":1}");
	ended_free(&next);
	ck_assert_int_eq(late.times + write.times + cancelled.times, 0);
}
END_TEST

/* So much that it cannot all be written before the fake reads. */
enum { MANY = 3000 };

START_TEST(pipelines_and_matches_by_id)
{
	static struct ended ended[MANY];
	static long long ids[MANY];
	static char padding[1200];
	char params[1300], answer[64];

	memset(padding, 'x', sizeof padding - 1);
	(void)snprintf(params, sizeof params, "{\"email\":\"%s\"}", padding);
	for (int i = 0; i < MANY; i++)
		begin(&fake, "get_user_by_email", params, &ended[i]);
	ck_assert_uint_eq(pierre_pending(fake.db), MANY);
	fake_accept(&fake);
	drive(&fake, 2);
	ck_assert_uint_eq(pierre_events(fake.db), PIERRE_EVENT_READ | PIERRE_EVENT_WRITE);
	for (int i = 0; i < MANY; i++) {
		ids[i] = fake_id(fake_line(&fake));
		ck_assert_int_eq(ids[i], i + 1);
	}
	for (int i = MANY - 1; i >= 0; i--) {
		(void)snprintf(answer, sizeof answer,
			"{\"jsonrpc\":\"2.0\",\"result\":%d,\"id\":%lld}\n", i, ids[i]);
		fake_send(&fake, answer);
	}
	for (int i = 0; i < MANY; i++) {
		drive_until(&fake, &ended[i]);
		ck_assert_int_eq(atoi(ended[i].json), i);
		ended_free(&ended[i]);
	}
	ck_assert_uint_eq(pierre_pending(fake.db), 0);
}
END_TEST

/* More than a socket buffers. */
static const char *long_params(void)
{
	static char params[900000];

	(void)strcpy(params, "{\"user_id\":\"u\",\"profile_data\":{\"x\":\"");
	memset(params + strlen(params), 'x', sizeof params - 1000);
	(void)strcat(params, "\"}}");
	return params;
}

/* A line that was cut off in the middle cannot have been executed: it is sent again, write or
 * not. */
START_TEST(a_line_that_was_cut_off_is_sent_again)
{
	struct ended write = {0}, behind = {0};
	char some[1000];

	begin(&fake, "upsert_user_profile", long_params(), &write);
	begin(&fake, WRITE, READ_PARAMS, &behind);
	fake_accept(&fake);
	drive(&fake, 3);
	ck_assert_int_gt(recv(fake.peer, some, sizeof some, 0), 0);
	fake_accept(&fake);
	fake_answer(&fake, fake_line(&fake), "null");
	fake_answer(&fake, fake_line(&fake), "null");
	expect_end(&write, 0, 0);
	expect_end(&behind, 0, 0);
}
END_TEST

START_TEST(gives_up_a_daemon_that_takes_nothing)
{
	struct ended write = {0}, behind = {0};

	pierre_set_timeouts(fake.db, 1000, 50);
	begin(&fake, "upsert_user_profile", long_params(), &write);
	pierre_set_timeouts(fake.db, 1000, 5000);
	begin(&fake, WRITE, READ_PARAMS, &behind);
	fake_accept(&fake);
	expect_end(&write, PIERRE_NO_ANSWER, PIERRE_OUTCOME_NONE);
	fake_accept(&fake);
	fake_answer(&fake, fake_line(&fake), "null");
	expect_end(&behind, 0, 0);
}
END_TEST

START_TEST(cancels_what_is_not_sent)
{
	struct ended ended = {0}, other = {0};
	int64_t number = pierre_call_async(fake.db, WRITE, READ_PARAMS, note_end, &ended, NULL);

	begin(&fake, READ, READ_PARAMS, &other);
	ck_assert(pierre_cancel(fake.db, number));
	fake_accept(&fake);
	ck_assert_ptr_nonnull(strstr(fake_line(&fake), READ));
	ck_assert(!fake_has_line(&fake));
	ck_assert_int_eq(ended.times, 0);
}
END_TEST

START_TEST(overloaded_is_for_all)
{
	struct ended first = {0}, second = {0};

	begin(&fake, WRITE, READ_PARAMS, &first);
	begin(&fake, READ, READ_PARAMS, &second);
	fake_accept(&fake);
	fake_send(&fake,
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32006,\"message\":\"full\","
		"\"data\":"
		"{\"kind\":\"overloaded\",\"retryable\":true}}}\n");
	fake_hang_up(&fake);
	drive_until(&fake, &first);
	ck_assert(first.error.retryable);
	expect_end(&first, PIERRE_OVERLOADED, PIERRE_OUTCOME_NONE);
	expect_end(&second, PIERRE_OVERLOADED, PIERRE_OUTCOME_NONE);
}
END_TEST

#define INVALID_REQUEST_ERROR                                                                      \
	"{\"code\":-32600,\"message\":\"odd\","                                                    \
	"\"data\":{\"kind\":\"invalid_request\",\"retryable\":false}}"

START_TEST(an_error_with_an_id_is_that_calls)
{
	struct ended first = {0}, second = {0}, third = {0};
	char lines[2][256];

	begin(&fake, READ, READ_PARAMS, &first);
	begin(&fake, WRITE, READ_PARAMS, &second);
	begin(&fake, READ, READ_PARAMS, &third);
	fake_accept(&fake);
	(void)snprintf(lines[0], sizeof lines[0], "%s", fake_line(&fake));
	(void)snprintf(lines[1], sizeof lines[1], "%s", fake_line(&fake));
	fake_answer_error(&fake, lines[1], INVALID_REQUEST_ERROR);
	drive_until(&fake, &second);
	ck_assert_str_eq(second.error.message, "odd");
	ck_assert(!second.error.retryable);
	expect_end(&second, PIERRE_INVALID_REQUEST, PIERRE_OUTCOME_NONE);
	ck_assert_int_eq(first.times + third.times, 0);
	fake_answer(&fake, fake_line(&fake), "null"); /* on the same connection */
	fake_answer(&fake, lines[0], "null");
	expect_end(&first, 0, 0);
	expect_end(&third, 0, 0);
}
END_TEST

START_TEST(an_error_without_an_id_is_the_only_calls)
{
	struct ended only = {0}, next = {0};

	begin(&fake, WRITE, READ_PARAMS, &only);
	fake_accept(&fake);
	(void)fake_line(&fake);
	fake_send(&fake, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":" INVALID_REQUEST_ERROR "}\n");
	expect_end(&only, PIERRE_INVALID_REQUEST, PIERRE_OUTCOME_NONE);
	begin(&fake, READ, READ_PARAMS, &next);
	fake_answer(&fake, fake_line(&fake), "null"); /* on the same connection */
	expect_end(&next, 0, 0);
}
END_TEST

/* The calls cannot be told apart: no answer may be taken for another call's. */
START_TEST(an_error_without_an_id_and_several_calls)
{
	struct ended read = {0}, write = {0};

	begin(&fake, READ, READ_PARAMS, &read);
	begin(&fake, WRITE, READ_PARAMS, &write);
	fake_accept(&fake);
	(void)fake_line(&fake);
	(void)fake_line(&fake);
	fake_send(&fake, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":" INVALID_REQUEST_ERROR "}\n");
	expect_end(&write, PIERRE_BAD_ANSWER, PIERRE_OUTCOME_UNKNOWN);
	expect_end(&read, PIERRE_BAD_ANSWER, PIERRE_OUTCOME_NONE);
}
END_TEST

START_TEST(too_large_is_the_longest)
{
	struct ended small = {0}, large = {0};
	char first[256];

	begin(&fake, READ, READ_PARAMS, &small);
	begin(&fake, "get_user_by_email", "{\"email\":\"a much longer line than the other one\"}",
		&large);
	fake_accept(&fake);
	(void)snprintf(first, sizeof first, "%s", fake_line(&fake));
	(void)fake_line(&fake);
	fake_send(&fake,
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32007,"
		"\"message\":\"long\"}}\n");
	expect_end(&large, PIERRE_TOO_LARGE, PIERRE_OUTCOME_NONE);
	fake_answer(&fake, first, "null");
	expect_end(&small, 0, 0);
}
END_TEST

/* The daemon reports this when its limit is reached, and skips the rest of the line, which must
 * still follow. */
START_TEST(too_large_may_come_early)
{
	struct ended small = {0}, large = {0}, behind = {0};
	char first[256];

	begin(&fake, READ, READ_PARAMS, &small);
	begin(&fake, "upsert_user_profile", long_params(), &large);
	begin(&fake, WRITE, READ_PARAMS, &behind);
	fake_accept(&fake);
	drive(&fake, 3);
	ck_assert_uint_eq(pierre_events(fake.db) & PIERRE_EVENT_WRITE, PIERRE_EVENT_WRITE);
	fake_send(&fake,
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32007,"
		"\"message\":\"long\"}}\n");
	drive_until(&fake, &large);
	expect_end(&large, PIERRE_TOO_LARGE, PIERRE_OUTCOME_NONE);
	ck_assert(!pierre_cancel(fake.db, 2));
	if (_i == 0) { /* the same connection continues with the next line */
		(void)snprintf(first, sizeof first, "%s", fake_line(&fake));
		ck_assert_ptr_nonnull(strstr(fake_line(&fake), "upsert_user_profile"));
		fake_answer(&fake, first, "null");
	} else { /* a new connection does not receive it again */
		fake_accept(&fake);
		fake_answer(&fake, fake_line(&fake), "null");
	}
	fake_answer(&fake, fake_line(&fake), "null");
	expect_end(&small, 0, 0);
	expect_end(&behind, 0, 0);
	ck_assert_uint_eq(pierre_pending(fake.db), 0);
}
END_TEST

START_TEST(attempts_are_spaced)
{
	struct ended ended = {0};
	int accepted = 0, peer;

	pierre_set_timeouts(fake.db, 600, 600);
	begin(&fake, "some_newer_method", NULL, &ended);
	/* A daemon that disconnects before it reads anything: the call was not sent, or fails. The
	 * library never connects without pause. */
	for (int i = 0; i < 200 && ended.times == 0; i++) {
		drive(&fake, 1);
		peer = accept(fake.listener, NULL, NULL);
		if (peer >= 0) {
			accepted++;
			(void)close(peer);
		}
	}
	ck_assert_int_eq(ended.times, 1);
	ck_assert_int_lt(accepted, 20);
}
END_TEST

TCase *connection_case(void)
{
	TCase *tcase = tcase_create("connection");

	tcase_add_checked_fixture(tcase, open_fake, close_fake);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, says_when_nobody_is_there);
	tcase_add_test(tcase, waits_for_a_daemon_that_comes);
	tcase_add_test(tcase, one_attempt_is_made_even_without_time);
	tcase_add_test(tcase, reads_are_sent_again_once);
	tcase_add_test(tcase, writes_without_a_key_are_never_sent_again);
	tcase_add_test(tcase, writes_are_sent_again_with_their_keys);
	tcase_add_test(tcase, a_key_of_the_caller);
	tcase_add_test(tcase, open_outcomes_are_asked_for);
	tcase_add_test(tcase, unknown_when_no_daemon_came_back);
	tcase_add_test(tcase, overloaded_while_the_outcome_is_open);
	tcase_add_test(tcase, unsent_writes_wait_for_the_next_connection);
	tcase_add_test(tcase, notices_an_idle_connection_that_ends);
	tcase_add_test(tcase, half_a_line_is_no_answer_yet);
	tcase_add_test(tcase, late_answers_are_dropped);
	tcase_add_test(tcase, pipelines_and_matches_by_id);
	tcase_add_test(tcase, a_line_that_was_cut_off_is_sent_again);
	tcase_add_test(tcase, gives_up_a_daemon_that_takes_nothing);
	tcase_add_test(tcase, cancels_what_is_not_sent);
	tcase_add_test(tcase, overloaded_is_for_all);
	tcase_add_test(tcase, an_error_with_an_id_is_that_calls);
	tcase_add_test(tcase, an_error_without_an_id_is_the_only_calls);
	tcase_add_test(tcase, an_error_without_an_id_and_several_calls);
	tcase_add_test(tcase, too_large_is_the_longest);
	tcase_add_loop_test(tcase, too_large_may_come_early, 0, 2);
	tcase_add_test(tcase, attempts_are_spaced);
	return tcase;
}
