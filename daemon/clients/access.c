#include "access.h"

#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

static const char *const role_names[] = {
	[ROLE_NONE] = "none",
	[ROLE_READ] = "read",
	[ROLE_WRITE] = "write",
	[ROLE_FULL] = "full",
	[ROLE_ADMIN] = "admin",
};
enum { ROLE_COUNT = sizeof role_names / sizeof *role_names };

bool role_parse(const char *name, size_t length, enum role *role)
{
	for (unsigned i = 0; i < ROLE_COUNT; i++)
		if (strlen(role_names[i]) == length && memcmp(role_names[i], name, length) == 0) {
			*role = (enum role)i;
			return true;
		}
	return false;
}

const char *role_name(enum role role)
{
	return (unsigned)role < ROLE_COUNT ? role_names[role] : "?";
}

/* A name of the system's users or groups, or a number. */
static bool find_id(bool group, const char *name, unsigned *id)
{
	char *end;
	unsigned long number = strtoul(name, &end, 10);

	if (*name >= '0' && *name <= '9' && *end == '\0') {
		*id = (unsigned)number;
		return number < UINT32_MAX;
	}
	if (group) {
		const struct group *entry = getgrnam(name);

		if (entry != NULL)
			*id = entry->gr_gid;
		return entry != NULL;
	}
	const struct passwd *entry = getpwnam(name);

	if (entry != NULL)
		*id = entry->pw_uid;
	return entry != NULL;
}

static int parse_rule(struct access_rule *rule, const char *text, size_t length, struct err *err)
{
	char name[128];
	const char *equals = memrchr(text, '=', length);
	size_t skip = length > 5 && memcmp(text, "user:", 5) == 0 ? 5
		: length > 6 && memcmp(text, "group:", 6) == 0    ? 6
								  : 0;
	size_t name_length;

	if (skip == 0 || equals == NULL || equals <= text + skip ||
		(name_length = (size_t)(equals - text) - skip) >= sizeof name)
		return err_exit(err, EX_CONFIG,
			"access rule \"%.*s\" is not of the form user:NAME=ROLE or group:NAME=ROLE",
			(int)length, text);
	memcpy(name, text + skip, name_length);
	name[name_length] = '\0';
	rule->group = skip == 6;
	if (!role_parse(equals + 1, (size_t)(text + length - equals - 1), &rule->role))
		return err_exit(err, EX_CONFIG,
			"access rule \"%.*s\": the role must be none, read, write, full or admin",
			(int)length, text);
	if (!find_id(rule->group, name, &rule->id))
		return err_exit(err, EX_CONFIG, "access rule \"%.*s\": there is no %s of that name",
			(int)length, text, rule->group ? "group" : "user");
	return 0;
}

static int add_rule(struct access *access, const char *text, size_t length, struct err *err)
{
	struct access_rule *grown = reallocarray(access->rules, access->count + 1, sizeof *grown);

	if (grown == NULL)
		return err_exit(err, EX_OSERR, "out of memory");
	access->rules = grown;
	if (parse_rule(&grown[access->count], text, length, err) < 0)
		return -1;
	access->by_group |= grown[access->count++].group;
	return 0;
}

/* Rules are parted by a comma or white space; between two commas there must be one: a rule that got
 * lost is no good. */
int access_parse(struct access *access, const char *text, enum role fallback, struct err *err)
{
	static const char blanks[] = " \t\n";
	struct access parsed = {.fallback = fallback};
	const char *at = text != NULL ? text : "";
	bool comma = false;

	for (at += strspn(at, blanks); comma || *at != '\0'; at += strspn(at, blanks)) {
		size_t length = strcspn(at, ", \t\n");

		if (add_rule(&parsed, at, length, err) < 0) {
			access_free(&parsed);
			return -1;
		}
		at += length;
		at += strspn(at, blanks);
		comma = *at == ',';
		at += comma;
	}
	*access = parsed;
	return 0;
}

void access_free(struct access *access)
{
	free(access->rules);
	*access = (struct access){.fallback = access->fallback};
}

static bool access_in_group(const struct peer *peer, unsigned gid)
{
	if (peer->gid == gid)
		return true;
	for (size_t i = 0; i < peer->group_count; i++)
		if (peer->groups[i] == gid)
			return true;
	return false;
}

enum role access_role(const struct access *access, const struct peer *peer)
{
	enum role best = ROLE_NONE;
	bool found = false;

	for (size_t i = 0; i < access->count; i++)
		if (!access->rules[i].group && access->rules[i].id == peer->uid)
			return access->rules[i].role;
	for (size_t i = 0; i < access->count; i++)
		if (access->rules[i].group && access_in_group(peer, access->rules[i].id)) {
			found = true;
			if (access->rules[i].role > best)
				best = access->rules[i].role;
		}
	if (found)
		return best;
	return peer->uid == 0 || peer->uid == geteuid() ? ROLE_ADMIN : access->fallback;
}

/* What the kernel kept of the peer's groups when it connected; where it cannot tell, what the
 * system's databases say. */
static void peer_groups(int fd, struct peer *peer)
{
	socklen_t size = sizeof peer->groups;
	struct passwd entry, *found = NULL;
	char space[4096];
	int count = ACCESS_GROUPS_MAX;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &size) == 0) {
		peer->group_count = size / sizeof *peer->groups;
		return;
	}
	if (getpwuid_r(peer->uid, &entry, space, sizeof space, &found) == 0 && found != NULL &&
		getgrouplist(entry.pw_name, peer->gid, peer->groups, &count) >= 0)
		peer->group_count = (size_t)count;
}

bool access_peer(int fd, bool with_groups, struct peer *peer)
{
	struct ucred credentials;
	socklen_t size = sizeof credentials;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
		return false;
	peer->uid = credentials.uid;
	peer->gid = credentials.gid;
	peer->pid = credentials.pid;
	peer->group_count = 0;
	if (with_groups)
		peer_groups(fd, peer);
	return true;
}
