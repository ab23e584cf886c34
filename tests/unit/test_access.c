/* Roles by peer. Would catch: a group's rule that precedes the user's, a rule that grants more
 * than it says, a name read as a number, a peer whose groups are ignored. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "../../daemon/clients/access.h"
#include "unit.h"

static struct peer peer_of(unsigned uid, unsigned gid)
{
	return (struct peer){.uid = uid, .gid = gid};
}

static const struct {
	const char *rules;
	enum role fallback;
	unsigned uid, gid, group; /* group: a supplementary one, 0 = none */
	enum role role;
} cases[] = {
	{"", ROLE_FULL, 12345, 1, 0, ROLE_FULL},
	{"", ROLE_NONE, 12345, 1, 0, ROLE_NONE},
	{"", ROLE_NONE, 0, 1, 0, ROLE_ADMIN},
	{"user:0=read", ROLE_FULL, 0, 1, 0, ROLE_READ},
	{"user:root=write", ROLE_FULL, 0, 1, 0, ROLE_WRITE},
	{"user:12345=read", ROLE_FULL, 12345, 1, 0, ROLE_READ},
	{"user:12345=read", ROLE_FULL, 12346, 1, 0, ROLE_FULL},
	{"group:77=admin,user:12345=none", ROLE_FULL, 12345, 77, 0, ROLE_NONE},
	{"group:77=admin", ROLE_READ, 12345, 77, 0, ROLE_ADMIN},
	{"group:77=admin", ROLE_READ, 12345, 1, 77, ROLE_ADMIN},
	{"group:77=read group:78=write", ROLE_FULL, 12345, 77, 78, ROLE_WRITE},
	{"group:77=read,group:78=write", ROLE_FULL, 12345, 78, 77, ROLE_WRITE},
	{"group:77=none", ROLE_FULL, 12345, 77, 0, ROLE_NONE},
	{"user:77=admin", ROLE_READ, 12345, 77, 0, ROLE_READ},
	{"group:12345=admin", ROLE_READ, 12345, 1, 0, ROLE_READ},
	{"  user:12345=write , user:1=read ", ROLE_READ, 12345, 1, 0, ROLE_WRITE},
	{"   ", ROLE_READ, 12345, 1, 0, ROLE_READ},
};

START_TEST(roles)
{
	struct access access = {0};
	struct err err = {0};
	struct peer peer = peer_of(cases[_i].uid, cases[_i].gid);

	if (cases[_i].group != 0) {
		peer.groups[0] = cases[_i].group;
		peer.group_count = 1;
	}
	ck_assert_msg(access_parse(&access, cases[_i].rules, cases[_i].fallback, &err) == 0, "%s",
		err.message);
	ck_assert_int_eq(access.by_group, strstr(cases[_i].rules, "group:") != NULL);
	ck_assert_int_eq(access_role(&access, &peer), cases[_i].role);
	access_free(&access);
}
END_TEST

static const char *const wrong[] = {
	"alice=read",
	"user:=read",
	"user:0",
	"user:0=",
	"user:0=king",
	"user:0=READ",
	"users:0=read",
	"user:no such user=read",
	"group:nonexistent-group-x=read",
	"user:nonexistent-user-x=read",
	"user:4294967295=read",
	"user:99999999999=read",
	"user:0=read;user:1=read",
	"=",
	"user:0x=read",
	",",
	"user:0=read,",
	",user:0=read",
	"user:0=read,,user:1=read",
	"user:0=read, ,user:1=read",
};

START_TEST(wrong_rules)
{
	struct access access = {.fallback = ROLE_WRITE};
	struct err err = {0};

	ck_assert_msg(access_parse(&access, wrong[_i], ROLE_FULL, &err) == -1, "%s", wrong[_i]);
	ck_assert_int_eq(err.exit_code, EX_CONFIG);
	ck_assert_int_eq(access.fallback, ROLE_WRITE); /* untouched */
}
END_TEST

START_TEST(peer_is_asked_of_the_kernel)
{
	int pair[2];
	struct peer peer;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert(access_peer(pair[0], true, &peer));
	ck_assert_uint_eq(peer.uid, geteuid());
	ck_assert_uint_eq(peer.gid, getegid());
	ck_assert_int_eq(peer.pid, getpid());
	ck_assert_int_eq((int)peer.group_count, getgroups(0, NULL));
	(void)close(pair[0]);
	(void)close(pair[1]);
	ck_assert(!access_peer(pair[0], true, &peer));
}
END_TEST

START_TEST(names)
{
	enum role role;

	for (int i = ROLE_NONE; i <= ROLE_ADMIN; i++) {
		ck_assert(role_parse(
			role_name((enum role)i), strlen(role_name((enum role)i)), &role));
		ck_assert_int_eq(role, i);
	}
	ck_assert(!role_parse("rea", 3, &role));
	ck_assert(!role_parse("", 0, &role));
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, roles, 0, sizeof cases / sizeof *cases);
	tcase_add_loop_test(tests, wrong_rules, 0, sizeof wrong / sizeof *wrong);
	tcase_add_test(tests, peer_is_asked_of_the_kernel);
	tcase_add_test(tests, names);
	return unit_run("access", tests, true);
}
