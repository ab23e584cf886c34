/* Invalid answers: an error code each time, never a crash or a hang, and the next connection
 * works. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

static void check_recovery(void)
{
	struct ended ended = {0};

	begin(&fake, "daemon.ping", NULL, &ended);
	fake_accept(&fake);
	fake_answer(&fake, fake_line(&fake), "\"pong\"");
	drive_until(&fake, &ended);
	ck_assert_int_eq(ended.status, 0);
	ck_assert_str_eq(ended.json, "\"pong\"");
	ended_free(&ended);
}

static const char *const nonsense[] = {
	"garbage\n",
	"\xff\xfe\n",
	"{}\n",
	"[]\n",
	"7\n",
	"null\n",
	"{\"jsonrpc\":\"2.0\"}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1}\n",
	"{\"jsonrpc\":\"1.0\",\"id\":1,\"result\":null}\n",
	"{\"id\":1,\"result\":null}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":null}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":null}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":-1,\"result\":null}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":null}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1.0,\"result\":null}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":null}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null,\"error\":{\"code\":-32001}}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":7}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null,\"id\":1}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null\n",
	"[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}]\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"\\u0000\"}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"m\"}}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":9223372036854775808,\"result\":null}\n",
	"HTTP/1.1 400 Bad Request\r\n\r\n",
};

START_TEST(nonsense_ends_the_connection)
{
	struct ended read = {0}, write = {0};

	begin(&fake, "get_user", "{\"user_id\":\"u\"}", &read);
	begin(&fake, "update_last_active", "{\"user_id\":\"u\"}", &write);
	fake_accept(&fake);
	(void)fake_line(&fake);
	(void)fake_line(&fake);
	fake_send(&fake, nonsense[_i]);
	drive_until(&fake, &read);
	drive_until(&fake, &write);
	ck_assert_int_eq(read.status, PIERRE_BAD_ANSWER);
	ck_assert_int_eq(read.error.outcome, PIERRE_OUTCOME_NONE);
	ck_assert_int_eq(write.status, PIERRE_BAD_ANSWER);
	ck_assert_int_eq(write.error.outcome, PIERRE_OUTCOME_UNKNOWN);
	check_recovery();
}
END_TEST

START_TEST(an_answer_before_the_question)
{
	struct ended ended = {0};

	begin(&fake, "daemon.ping", NULL, &ended);
	fake_accept(&fake);
	(void)fake_line(&fake);
	fake_send(&fake, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":null}\n");
	drive_until(&fake, &ended);
	ck_assert_int_eq(ended.status, PIERRE_BAD_ANSWER);
	check_recovery();
}
END_TEST

START_TEST(a_line_without_end)
{
	static char block[65537];
	struct ended ended = {0};
	size_t sent = 0;

	memset(block, 'x', sizeof block - 1);
	begin(&fake, "daemon.ping", NULL, &ended);
	fake_accept(&fake);
	(void)fake_line(&fake);
	while (ended.times == 0 && sent < (size_t)1 << 30) {
		ssize_t now = send(fake.peer, block, sizeof block - 1, MSG_NOSIGNAL);

		if (now > 0)
			sent += (size_t)now;
		else
			drive(&fake, 1);
	}
	ck_assert_int_eq(ended.times, 1);
	ck_assert_int_eq(ended.status, PIERRE_BAD_ANSWER);
	ck_assert_uint_lt(sent, 20 * 1024 * 1024); /* it read no more than necessary */
	check_recovery();
}
END_TEST

START_TEST(the_limit_is_a_setting)
{
	static char text[70000];
	struct ended ended = {0};

	memset(text, 'x', sizeof text - 1);
	text[0] = text[sizeof text - 2] = '"';
	pierre_set_limits(fake.db, 0, 71000);
	begin(&fake, "daemon.ping", NULL, &ended);
	fake_accept(&fake);
	fake_answer(&fake, fake_line(&fake), text);
	drive_until(&fake, &ended);
	ck_assert_int_eq(ended.status, 0);
	ck_assert_str_eq(ended.json, text);
	ended_free(&ended);
	pierre_set_limits(fake.db, 0, 60000);
	begin(&fake, "daemon.ping", NULL, &ended);
	fake_answer(&fake, fake_line(&fake), text);
	drive_until(&fake, &ended);
	ck_assert_int_eq(ended.status, PIERRE_BAD_ANSWER);
}
END_TEST

/* Valid answers with random bytes changed, removed or inserted: each call ends, without other
 * effects. */
START_TEST(random_damage)
{
	static const char good[] =
		"{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"id\":\"i\",\"email\":\"e\\u00e9\","
		"\"display_name\":null,"
		"\"password_hash\":\"h\","
		"\"strava_token\":{\"expires_at\":\"2025-06-19T15:44:49.123456Z\",\"scope\":\"\"},"
		"\"fitbit_token\":null,\"created_at\":\"2025-06-19T15:44:49.123456Z\","
		"\"last_active\":\"2025-06-19T15:44:49.123456Z\",\"is_active\":true}}\n";
	unsigned seed = (unsigned)_i * 7919U + 1;

	for (int round = 0; round < 60; round++) {
		struct ended ended = {0};
		char line[1024];
		size_t length;

		pierre_free(fake.db);
		fake.db = pierre_new(fake.path);
		begin(&fake, "get_user", "{\"user_id\":\"u\"}", &ended);
		fake_accept(&fake);
		(void)snprintf(line, sizeof line, good, fake_id(fake_line(&fake)));
		length = strlen(line);
		for (int changes = rand_r(&seed) % 3; changes >= 0; changes--) {
			size_t at = (size_t)rand_r(&seed) % length;

			line[at] = (char)(rand_r(&seed) % 4 == 0 ? '\n' : 1 + rand_r(&seed) % 255);
		}
		fake_send(&fake, line);
		drive(&fake, 3);
		/* A line may have lost its end. A read is sent once more when the connection
		 * breaks; the second disconnect ends it. */
		if (ended.times == 0)
			fake_accept(&fake);
		fake_hang_up(&fake);
		drive_until(&fake, &ended);
		ended_free(&ended);
		ck_assert_uint_eq(pierre_pending(fake.db), 0);
	}
}
END_TEST

TCase *hostile_case(void)
{
	TCase *tcase = tcase_create("hostile");

	tcase_add_checked_fixture(tcase, open_fake, close_fake);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, nonsense_ends_the_connection, 0,
		(int)(sizeof nonsense / sizeof nonsense[0]));
	tcase_add_test(tcase, an_answer_before_the_question);
	tcase_add_test(tcase, a_line_without_end);
	tcase_add_test(tcase, the_limit_is_a_setting);
	tcase_add_loop_test(tcase, random_damage, 0, 8);
	return tcase;
}
