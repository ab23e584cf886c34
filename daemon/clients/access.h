/* Who may call what: the role of a peer by the uid and groups that the kernel vouches for.
 *
 * Rules: `user:alice=read, group:ops=admin, user:1001=none`. A rule for the user wins, else the
 * highest of the rules for its groups, else admin for root and the daemon's own user, else the
 * default role. Thread: plain data.
 *
 * prefix: role_, access_ */
#ifndef PIERRE_ACCESS_H
#define PIERRE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../../protocol/catalog.h"
#include "../../protocol/error.h"

enum { ACCESS_GROUPS_MAX = 256 };

struct access_rule {
	bool group;
	unsigned id;
	enum role role;
};

struct access {
	struct access_rule *rules;
	size_t count;
	bool by_group; /* some rule is about a group */
	enum role fallback;
};

struct peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	gid_t groups[ACCESS_GROUPS_MAX];
	size_t group_count;
};

/* text may be NULL or empty: no rules. exit_code 78 on failure; *access is untouched then. */
int access_parse(struct access *access, const char *text, enum role fallback, struct err *err);
void access_free(struct access *access);
enum role access_role(const struct access *access, const struct peer *peer);
/* Asks the kernel about the other end of a connected socket. with_groups: supplementary groups too.
 */
bool access_peer(int fd, bool with_groups, struct peer *peer);

bool role_parse(const char *name, size_t length, enum role *role);
const char *role_name(enum role role);

#endif
