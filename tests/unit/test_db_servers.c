/* What the daemon says of the servers whose reads are split. Would catch: a standby called usable
 * that is too old, outdated, of unknown age or without a primary for too long; a complaint about
 * healthy servers; the wrong server named; a finding without advice. */
#include <string.h>

#include "../../daemon/admin/db_servers.h"
#include "unit.h"

static struct store_server given[STORE_SERVERS_MAX];
static unsigned given_count;
static uint64_t outage_ns;

static unsigned fake_servers(struct store *store, struct store_server out[STORE_SERVERS_MAX])
{
	(void)store;
	memcpy(out, given, sizeof given);
	return given_count;
}

static void fake_stats(struct store *store, struct store_stats *stats)
{
	(void)store;
	stats->outage_ns = outage_ns;
}

static const struct store_ops ops = {.servers = fake_servers, .stats = fake_stats},
			      no_servers = {.stats = fake_stats};
static const struct settings settings = {.standby_lag = 5000, .standby_outage = 60000};
static struct db_servers servers;
static char text[DB_SERVERS_TEXT_MAX];

static void add(const char *host, enum server_role role, int64_t age_ms)
{
	struct store_server *server = &given[given_count++];

	*server = (struct store_server){.role = role, .connections = 2, .age_ms = age_ms};
	(void)snprintf(server->host, sizeof server->host, "%s", host);
	server->lag_bytes = age_ms;
}

static void start(void)
{
	given_count = 0;
	outage_ns = 0;
	add("db1:1", SERVER_PRIMARY, -1);
}

static const char *complaint(void)
{
	struct store store = {.ops = &ops};

	db_servers_ask(&servers, &store, &settings);
	return db_servers_complaint(&servers, text);
}

START_TEST(test_healthy)
{
	add("db2:1", SERVER_STANDBY, 5000);
	ck_assert_str_eq(complaint(), "");
	ck_assert_uint_eq(servers.usable, 1);
	ck_assert_uint_eq(servers.standbys, 1);
	for (unsigned i = 0; i < servers.count; i++)
		ck_assert_ptr_null(db_servers_finding(&servers, &servers.of[i], text));
	ck_assert_str_eq(text,
		"db2:1: standby, 2 connections, shows the data of 5.0 s ago, has answered 0 reads");
}
END_TEST

START_TEST(test_each_that_cannot_be_read)
{
	static const struct {
		enum server_role role;
		int64_t age_ms;
		const char *detail, *advice;
	} cases[] = {
		{SERVER_STANDBY, 5001,
			"db3:1 shows the data of 5.0 s ago, more than standby-lag (5.0 s)",
			"pg_stat_wal_receiver"},
		{SERVER_STANDBY, -1, "the age of db3:1 is unknown", "timeline"},
		{SERVER_OUTDATED, 10, "db3:1 does not follow the newest primary", "pg_rewind"},
		{SERVER_UNREACHABLE, -1, "db3:1 is unreachable", "hot_standby"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char wanted[DB_SERVERS_TEXT_MAX];
		const char *advice;

		start();
		add("db3:1", cases[i].role, cases[i].age_ms);
		(void)snprintf(
			wanted, sizeof wanted, "no standby can be read: %s", cases[i].detail);
		ck_assert_str_eq(complaint(), wanted);
		advice = db_servers_finding(&servers, &servers.of[1], text);
		ck_assert_ptr_nonnull(advice);
		ck_assert_ptr_nonnull(strstr(advice, cases[i].advice));
		ck_assert_str_eq(text, cases[i].detail);
		add("db2:1", SERVER_STANDBY, 0);
		(void)snprintf(
			wanted, sizeof wanted, "1 of 2 standbys can be read: %s", cases[i].detail);
		ck_assert_str_eq(complaint(), wanted);
	}
}
END_TEST

START_TEST(test_reason_of_the_server)
{
	add("db2:1", SERVER_UNREACHABLE, -1);
	memset(given[1].host, 'h', sizeof given[1].host - 1);
	memset(given[1].error, 'e', sizeof given[1].error - 1);
	ck_assert_ptr_nonnull(strstr(complaint(), "is unreachable: eee"));
	(void)db_servers_finding(&servers, &servers.of[1], text);
	ck_assert_ptr_nonnull(strstr(text, "is unreachable: eee"));
}
END_TEST

START_TEST(test_without_primary)
{
	given_count = 0;
	add("db2:1", SERVER_STANDBY, 100);
	outage_ns = UINT64_C(12000000000);
	ck_assert_str_eq(
		complaint(), "no primary for 12 s: standbys answer reads for another 48 s");
	outage_ns = UINT64_C(60001000000);
	ck_assert_str_eq(complaint(),
		"no primary for 60 s, more than standby-outage (60 s): reads wait for it");
	ck_assert_uint_eq(servers.usable, 0);
	given[0].role = SERVER_OUTDATED;
	outage_ns = UINT64_C(12000000000);
	ck_assert_str_eq(
		complaint(), "no standby can be read: db2:1 does not follow the newest primary");
}
END_TEST

START_TEST(test_none)
{
	struct store store = {.ops = &no_servers};
	struct buffer out = {.cap = 0};

	ck_assert_str_eq(complaint(), "no server is a standby");
	given_count = 0;
	ck_assert_str_eq(complaint(), "");
	db_servers_ask(&servers, &store, &settings);
	db_servers_write(&servers, &out);
	ck_assert_str_eq(db_servers_complaint(&servers, text), "");
	ck_assert_uint_eq(servers.count, 0);
	ck_assert_uint_eq(out.length, 0);
}
END_TEST

START_TEST(test_json)
{
	struct buffer out = {.cap = 0};

	add("db2:1", SERVER_STANDBY, 7);
	(void)complaint();
	db_servers_write(&servers, &out);
	buffer_byte(&out, '\0');
	ck_assert_str_eq(out.data,
		"\"servers\":[{\"host\":\"db1:1\",\"role\":\"primary\",\"usable\":false,"
		"\"connections\":2,\"reads\":0,\"age_ms\":null,\"lag_bytes\":null,\"error\":null},"
		"{\"host\":\"db2:1\",\"role\":\"standby\",\"usable\":true,\"connections\":2,"
		"\"reads\":0,\"age_ms\":7,\"lag_bytes\":7,\"error\":null}]");
	buffer_free(&out);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("db_servers");

	tcase_add_checked_fixture(tests, start, NULL);
	tcase_add_test(tests, test_healthy);
	tcase_add_test(tests, test_each_that_cannot_be_read);
	tcase_add_test(tests, test_reason_of_the_server);
	tcase_add_test(tests, test_without_primary);
	tcase_add_test(tests, test_none);
	tcase_add_test(tests, test_json);
	return unit_run("db_servers", tests, true);
}
