/* The timeline guard, and the order of hosts. Would catch: an older primary that counts as one that
 * may follow, a newer one or an unknown one that does not, a list of hosts that loses one or gives
 * it another's port, a host that is tried twice or never. */
#include <string.h>

#include "unit.h"

#include "../../backends/postgres/cluster/guard.h"
#include "../../backends/postgres/cluster/hosts.h"

static bool follows(struct lineage newest, struct lineage now, const char *words)
{
	char why[ERR_MESSAGE_MAX] = "";
	bool good = guard_follows(&newest, &now, why);

	ck_assert_msg(strstr(why, words) != NULL, "%s", why);
	return good;
}

START_TEST(timelines)
{
	const struct lineage unknown = {.system = 0}, standby = {.system = 5, .standby = true};

	ck_assert(follows(unknown, (struct lineage){.system = 5, .timeline = 1}, ""));
	ck_assert(follows((struct lineage){.system = 5, .timeline = 7},
		(struct lineage){.system = 5, .timeline = 7}, ""));
	ck_assert(follows((struct lineage){.system = 5, .timeline = 7},
		(struct lineage){.system = 5, .timeline = 9}, ""));
	ck_assert(!follows((struct lineage){.system = 5, .timeline = 8},
		(struct lineage){.system = 5, .timeline = 7},
		"the primary went back from timeline 8 to 7: writes answered since may be gone"));
	ck_assert(!follows((struct lineage){.timeline = 8}, (struct lineage){.timeline = 7},
		"from timeline 8 to 7"));
	ck_assert(follows((struct lineage){.system = 5, .timeline = 8}, standby, ""));
	ck_assert(follows((struct lineage){.system = 5, .timeline = 8}, unknown, ""));
}
END_TEST

START_TEST(other_clusters)
{
	struct lineage newest = {.system = 5, .timeline = 1};

	ck_assert(!follows(newest, (struct lineage){.system = 6, .timeline = 3},
		"another database cluster (system identifier 6, not 5)"));
	ck_assert(!follows(newest, (struct lineage){.system = 6, .standby = true},
		"another database cluster"));
	ck_assert(follows(newest, (struct lineage){.timeline = 1}, ""));
}
END_TEST

START_TEST(advances)
{
	struct lineage newest = {.system = 0};

	ck_assert(guard_advance(&newest, &(struct lineage){.system = 5, .timeline = 3}));
	ck_assert(!guard_advance(&newest, &(struct lineage){.system = 5, .timeline = 3}));
	ck_assert(!guard_advance(&newest, &(struct lineage){.system = 5, .standby = true}));
	ck_assert(!guard_advance(&newest, &(struct lineage){.system = 0}));
	ck_assert(guard_advance(&newest, &(struct lineage){.timeline = 4}));
	ck_assert_uint_eq(newest.system, 5);
	ck_assert_uint_eq(newest.timeline, 4);
}
END_TEST

/* expected: host, hostaddr, port; "": as in the URL. */
static void check_hosts(
	const char *url, unsigned first, unsigned count, bool chosen, const char *const expected[3])
{
	struct hosts hosts;

	ck_assert(hosts_init(&hosts, &(struct target){.url = url, .first = first}));
	ck_assert_uint_eq(hosts.count, count);
	ck_assert_uint_eq(hosts_count(url), count);
	ck_assert(hosts.chosen == chosen);
	ck_assert_str_eq(hosts.host != NULL ? hosts.host : "", expected[0]);
	ck_assert_str_eq(hosts.hostaddr != NULL ? hosts.hostaddr : "", expected[1]);
	ck_assert_str_eq(hosts.port != NULL ? hosts.port : "", expected[2]);
	hosts_free(&hosts);
}

START_TEST(orders)
{
	static const char *const unchanged[] = {"", "", ""};
	static const char three[] = "postgresql://u@a:1,b:2,c:3/d";

	(void)unsetenv("PGTARGETSESSIONATTRS");
	check_hosts("postgresql://u@a:1/d", 0, 1, false, unchanged);
	check_hosts("postgresql://u@a:1/d", 3, 1, false, unchanged);
	check_hosts("postgresql:///d", 1, 1, false, unchanged);
	check_hosts(three, 0, 3, false, unchanged);
	check_hosts(three, 1, 3, false, (const char *[]){"b,c,a", "", "2,3,1"});
	check_hosts(three, 2, 3, false, (const char *[]){"c,a,b", "", "3,1,2"});
	check_hosts(three, 3, 3, false, unchanged);
	check_hosts("postgresql://u@a,b/d?port=7&target_session_attrs=any", 1, 2, true,
		(const char *[]){"b,a", "", ""});
	check_hosts("postgresql:///d?hostaddr=10.0.0.1,10.0.0.2&port=1,2", 1, 2, false,
		(const char *[]){"", "10.0.0.2,10.0.0.1", "2,1"});
	check_hosts("postgresql://u@a,/d", 1, 2, false, (const char *[]){",a", "", ","});
	ck_assert_int_eq(setenv("PGTARGETSESSIONATTRS", "any", 1), 0);
	check_hosts(three, 0, 3, true, unchanged);
	(void)unsetenv("PGTARGETSESSIONATTRS");
}
END_TEST

static void check_rest(
	const char *url, unsigned first, unsigned passed, const char *host, const char *port)
{
	struct hosts hosts;

	ck_assert(
		hosts_init(&hosts, &(struct target){.url = url, .first = first, .passed = passed}));
	ck_assert_uint_eq(hosts.count, 3);
	ck_assert_str_eq(hosts.host, host);
	ck_assert_str_eq(hosts.port != NULL ? hosts.port : "", port);
	hosts_free(&hosts);
}

START_TEST(rests)
{
	static const char three[] = "postgresql://u@a:1,b:2,c:3/d";

	check_rest(three, 0, 1, "b,c", "2,3");
	check_rest(three, 0, 2, "c", "3");
	check_rest(three, 2, 1, "a,b", "1,2");
	check_rest(three, 1, 2, "a", "1");
	check_rest("postgresql://u@a,b,c/d?port=7", 5, 1, "a,b", "");
}
END_TEST

START_TEST(one_alone)
{
	struct hosts hosts;

	ck_assert(hosts_init(&hosts,
		&(struct target){.url = "postgresql://u@a:1,b:2,c:3/d", .first = 4, .only = true}));
	ck_assert_str_eq(hosts.host, "b");
	ck_assert_str_eq(hosts.port, "2");
	hosts_free(&hosts);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("guard");

	tcase_add_test(tests, timelines);
	tcase_add_test(tests, other_clusters);
	tcase_add_test(tests, advances);
	tcase_add_test(tests, orders);
	tcase_add_test(tests, rests);
	tcase_add_test(tests, one_alone);
	return unit_run("guard", tests, true);
}
