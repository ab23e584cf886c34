/* Every allocation of the client library fails once, one after the other: each time a call ends
 * with an error or works, nothing leaks (the sanitizers' builds tell), nothing crashes, and the
 * same handle works afterwards.
 *
 * The linker leads malloc and its like of the library here (--wrap); only while `failing` is set do
 * they count. */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "pierre-db.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool failing;
static int left; /* allocations until the one that fails */
static int failed;

static bool fails_now(void)
{
	if (!failing || left-- != 0)
		return false;
	failed++;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails_now() ? NULL : __real_realloc(old, size);
}

static char folder[] = "/tmp/pierre-memory-XXXXXX", path[64];
static int listener, peer = -1;

static void listen_there(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof path, "%s/s", folder);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(listener, 16), 0);
}

static void stop_listening(void)
{
	(void)close(listener);
	if (peer >= 0)
		(void)close(peer);
	(void)unlink(path);
	(void)rmdir(folder);
}

static const char goal[] =
	"{\"id\":\"1\",\"user_id\":\"u\",\"title\":\"t\\u00e9\",\"goal_type\":\"g\","
	"\"type\":\"g\",\"target_value\":10,\"target\":10.0,"
	"\"current_value\":-0.5,\"current\":1,\"status\":\"active\","
	"\"created_at\":\"2025-06-19T15:44:49.123456Z\","
	"\"updated_at\":\"2025-06-19T15:44:49.123456Z\"}";

static const char stats[] = "{\"client_id\":\"c\",\"period_start\":\"2025-06-19T15:44:49.123456Z\","
			    "\"period_end\":\"2025-06-19T15:44:49.123456Z\","
			    "\"total_requests\":1,\"successful_requests\":1,\"failed_requests\":0,"
			    "\"total_response_time_ms\":5,\"tool_usage\":{\"a\":1},"
			    "\"capability_usage\":{\"b\":2,\"c\":3}}";

/* Answers whatever has come, by the method that the line names. */
static void serve(void)
{
	static char in[65536], out[16384];
	int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	ssize_t got;

	if (accepted >= 0) {
		if (peer >= 0)
			(void)close(peer);
		peer = accepted;
	}
	if (peer < 0)
		return;
	got = recv(peer, in, sizeof in - 1, 0);
	if (got <= 0)
		return;
	in[got] = '\0';
	for (char *rest = in, *line = strsep(&rest, "\n"); line != NULL && *line != '\0';
		line = strsep(&rest, "\n")) {
		long long id = strtoll(strstr(line, "\"id\":") + 5, NULL, 10);

		if (strstr(line, "get_user_goals") != NULL)
			(void)snprintf(out, sizeof out,
				"{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":[%s,%s]}\n", id, goal,
				goal);
		else if (strstr(line, "get_a2a_usage_stats") != NULL)
			(void)snprintf(out, sizeof out,
				"{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":%s}\n", id, stats);
		else
			(void)snprintf(out, sizeof out,
				"{\"jsonrpc\":\"2.0\",\"id\":%lld,\"error\":{\"code\":-32001,"
				"\"message\":\"\\u00e9\"}}\n",
				id);
		(void)!send(peer, out, strlen(out),
			MSG_NOSIGNAL); /* fails when the library gave the connection up */
	}
}

struct taken {
	int ended, good, unexpected;
};

static void check_status(struct taken *taken, int status, int expected)
{
	/* No check's macro here: it would allocate while allocations fail. */
	taken->ended++;
	taken->good += status == expected;
	if (status != expected && status != PIERRE_NO_MEMORY && status != PIERRE_BROKEN &&
		status != PIERRE_BAD_ANSWER && status != PIERRE_NO_CONNECTION &&
		status != PIERRE_NO_ANSWER)
		taken->unexpected = status;
}

static void take_goals(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	struct pierre_goal *goals = NULL;
	size_t count = 0;

	(void)db;
	check_status(userdata, pierre_get_user_goals_result(answer, &goals, &count, NULL), 0);
	pierre_goal_free(goals);
}

static void take_stats(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	struct pierre_a2a_usage_stats *found = NULL;

	(void)db;
	check_status(userdata, pierre_get_a2a_usage_stats_result(answer, &found, NULL), 0);
	pierre_a2a_usage_stats_free(found);
}

static void take_error(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	char *json;

	(void)db;
	check_status(userdata, pierre_answer_json(answer, &json, NULL), PIERRE_NOT_FOUND);
}

/* Three calls on the handle; gives how many went as they should. */
static int use(struct pierre *db)
{
	struct pierre_a2a_client_input client = {.id = "i",
		.name = "n",
		.description = "",
		.public_key = "",
		.capabilities = (const char *[]){"a"},
		.capabilities_count = 1};
	struct taken taken = {0};
	int begun = 0;

	begun += pierre_get_user_goals_async(db, "u", NULL, NULL, take_goals, &taken, NULL) > 0;
	begun += pierre_get_a2a_usage_stats_async(db, "c", 0, 1, take_stats, &taken, NULL) > 0;
	begun += pierre_create_a2a_client_async(db, &client, "k", take_error, &taken, NULL) > 0;
	for (int i = 0; i < 300 && taken.ended < begun; i++) {
		bool was = failing;

		pierre_process(db);
		failing = false;
		serve();
		if (taken.ended < begun)
			(void)poll(NULL, 0, pierre_timeout_ms(db) == 0 ? 0 : 1);
		failing = was;
	}
	failing = false;
	ck_assert_int_eq(taken.ended, begun);
	ck_assert_int_eq(taken.unexpected, 0);
	return taken.good;
}

START_TEST(every_allocation_fails_once)
{
	int rounds = 0;

	listen_there();
	for (;; rounds++) {
		struct pierre *db;

		left = rounds;
		failed = 0;
		failing = true;
		db = pierre_new(path);
		if (db != NULL)
			(void)use(db);
		failing = false;
		if (db != NULL)
			ck_assert_int_eq(use(db), 3);
		pierre_free(db);
		if (failed == 0)
			break;
		ck_assert_int_lt(rounds, 1000);
	}
	stop_listening();
	ck_assert_int_gt(rounds, 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory of libpierre-db");
	TCase *tcase = tcase_create("memory");
	SRunner *runner;
	int bad;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, every_allocation_fails_once);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	bad = srunner_ntests_failed(runner);
	srunner_free(runner);
	return bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
