/* pierre-dbctl rotate-key: calls rotate_key until the key rotation, or the change to bound tokens,
 * is complete. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../options.h"
#include "../output.h"
#include "../connect.h"
#include "../progress.h"
#include "../catalog/tree.h"
#include "providers.gen.h"
#include "value.h"

#define CLEAR(provider, title) ", clear_" provider "_token"

enum { PATIENCE_S = 30, REST_MS = 200 };

/* What all steps share. */
struct rotating {
	bool bind, yes;
	double resealed, sessions; /* the sums of all steps */
};

/* A restart, a lock or an outage is temporary. A step can be repeated whatever its outcome. */
static bool passes(const struct pierre_error *error)
{
	switch (error->kind) {
	case PIERRE_NO_CONNECTION:
	case PIERRE_BROKEN:
	case PIERRE_NO_ANSWER:
	case PIERRE_TIMEOUT:
	case PIERRE_UNAVAILABLE:
	case PIERRE_SHUTTING_DOWN:
		return true;
	default:
		return false;
	}
}

/* One step, retried for a limited time. The caller owns *tree. `first`: no call has succeeded yet,
 * so that waiting may be pointless. */
static int rotate_step(struct ctl *ctl, const struct rotating *rotating, bool first, json_t **tree)
{
	double patience = first            ? 0
		: ctl->timeout_seconds > 0 ? ctl->timeout_seconds
					   : PATIENCE_S,
	       until = clock_seconds() + patience;
	struct pierre *db = connect_open(ctl);
	struct pierre_error error;
	json_error_t problem;
	char *result;

	if (db == NULL)
		return EX_OSERR;
	while (pierre_call(db, "rotate_key", rotating->bind ? "{\"bind\":true}" : NULL, &result,
		       &error) != 0) {
		if (!passes(&error) || clock_seconds() >= until) {
			int status;

			error.outcome = PIERRE_OUTCOME_NONE; /* irrelevant: rotation continues from
			                                        any state */
			status = output_call_failed(ctl, &error);
			if (!first)
				(void)output_fail(0,
					"the key rotation is not finished: run rotate-key again "
					"to continue");
			return status;
		}
		(void)nanosleep(&(struct timespec){.tv_nsec = REST_MS * 1000000L}, NULL);
	}
	*tree = json_loads(result, 0, &problem);
	pierre_text_free(result);
	return *tree != NULL
		? 0
		: output_fail(EX_PROTOCOL, "rotate_key: invalid answer: %s", problem.text);
}

/* Repeats the step until nothing is left to do. */
static int drive(struct ctl *ctl, struct rotating *rotating, json_t **tree)
{
	struct progress progress;
	bool first = true;
	int status;

	progress_begin(&progress, ctl, "users");
	for (;;) {
		const char *what;

		status = rotate_step(ctl, rotating, first, tree);
		if (status != 0)
			break;
		first = false;
		rotating->resealed += tree_number(*tree, "resealed");
		rotating->sessions += tree_number(*tree, "sessions");
		if (strcmp(tree_text(*tree, "state"), "running") != 0)
			break;
		what = tree_number(*tree, "pass") > 1 ? "checking" : "re-encrypting";
		progress_show(&progress, what, tree_number(*tree, "checked"),
			tree_number(*tree, "users"));
		json_decref(*tree);
		*tree = NULL;
	}
	progress_end(&progress);
	return status;
}

static void tell_finished(const json_t *tree, const struct rotating *rotating)
{
	const char *previous = tree_text(tree, "previous_key");

	(void)printf("all tokens of %.0f users are sealed with the key %s",
		tree_number(tree, "checked"), tree_text(tree, "key"));
	if (rotating->resealed > 0)
		(void)printf("; %.0f were re-encrypted", rotating->resealed);
	if (rotating->bind)
		(void)printf("\nthey are bound to their users and providers; session tokens are "
			     "stored as hashes, %.0f of them since now",
			rotating->sessions);
	if (*previous != '\0')
		(void)printf("\nthe previous key %s is no longer needed: "
			     "remove it from the settings and restart the daemon",
			previous);
	(void)putchar('\n');
}

static int tell_blocked(const json_t *tree)
{
	const json_t *list = json_object_get(tree, "examples"), *token;
	static const char clear[] = TOKEN_PROVIDERS(CLEAR);
	double count = tree_number(tree, "unreadable");
	size_t i;

	(void)output_fail(0, "not finished: %.0f tokens open with neither the key %s nor %s%s",
		count, tree_text(tree, "key"),
		*tree_text(tree, "previous_key") != '\0' ? "the previous key "
							 : "a previous key, which is not set",
		tree_text(tree, "previous_key"));
	json_array_foreach (list, i, token)
		(void)output_fail(0, "  user %s, %s", tree_text(token, "user_id"),
			tree_text(token, "provider"));
	if (count > (double)json_array_size(list))
		(void)output_fail(0, "  and %.0f more", count - (double)json_array_size(list));
	return output_fail(EXIT_DAEMON_ERROR,
		"they were sealed with a third key, moved or damaged: set that key as the previous "
		"one, or clear them (%s) so that their users reconnect; then run rotate-key again",
		&clear[2]);
}

/* Before anything changes. Without a terminal nobody can agree but by --yes. */
static int tell_binding(const struct rotating *rotating)
{
	static const char *const lines[] = {
		"--bind changes how this database stores secrets, and cannot be undone:",
		"  each token is bound to its user and provider: servers before this version can "
		"neither read nor store tokens",
		"  session tokens of agents are replaced by their hashes: servers before this "
		"version find no sessions and cannot create any",
		"  update all daemons on this database first, and stop other servers"};
	char answer[8] = "";

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		(void)output_fail(0, "%s", lines[i]);
	if (rotating->yes)
		return 0;
	if (isatty(STDIN_FILENO) == 0)
		return output_fail(
			EX_USAGE, "nothing was changed: without a terminal, --yes confirms --bind");
	(void)fputs("continue? [y/N] ", stderr);
	if (fgets(answer, sizeof answer, stdin) != NULL && (*answer == 'y' || *answer == 'Y'))
		return 0;
	return output_fail(EX_USAGE, "nothing was changed");
}

static int rotate_key(struct ctl *ctl, int argc, char **argv)
{
	struct rotating rotating = {.bind = false};
	const struct option_row rows[] = {{.name = "bind", .flag = &rotating.bind},
		{.name = "yes", .flag = &rotating.yes}, {0}};
	int words = options_read(rows, argc, argv), status;
	json_t *tree = NULL;
	bool finished;

	if (words < 0)
		return EX_USAGE;
	if (words > 0)
		return output_fail(EX_USAGE,
			"%s accepts no arguments: the keys are settings of the daemon", argv[0]);
	status = rotating.bind ? tell_binding(&rotating) : 0;
	if (status == 0)
		status = drive(ctl, &rotating, &tree);
	if (status != 0)
		return status;
	finished = strcmp(tree_text(tree, "state"), "finished") == 0;
	if (ctl->json) {
		(void)json_object_set_new(
			tree, "resealed", json_pack("I", (json_int_t)rotating.resealed));
		(void)json_object_set_new(
			tree, "sessions", json_pack("I", (json_int_t)rotating.sessions));
		tree_print(ctl, tree);
	} else if (finished) {
		tell_finished(tree, &rotating);
	}
	if (!finished)
		status = tell_blocked(tree);
	json_decref(tree);
	return status;
}

const struct command rotate_commands[] = {
	{"rotate-key", "[--bind [--yes]]", "Re-encrypt all tokens with the current key",
		"  --bind  also bind each token to its user and provider, and store session\n"
		"          tokens of agents as hashes\n"
		"  --yes   do not ask before --bind; required without a terminal\n\n"
		"Examples:\n"
		"  pierre-dbd --generate-key    # the new key; restart the daemon with it,\n"
		"                               # and the old one as PREVIOUS_ENCRYPTION_KEY\n"
		"  pierre-dbctl rotate-key      # then restart without PREVIOUS_ENCRYPTION_KEY\n"
		"  pierre-dbctl rotate-key --bind\n\n"
		"The daemon opens tokens that either key has sealed, and seals with the new key\n"
		"only. This command re-encrypts the remaining tokens in short transactions while\n"
		"the daemon runs. It can be interrupted at any time, and so can the daemon: run\n"
		"it again to continue.\n\n"
		"Exit code 0: a full pass found that every token opens with the new key. Until\n"
		"then the daemon does not start without the previous key. Exit code 1: some\n"
		"tokens open with neither key; the users are listed. Without a previous key the\n"
		"command checks that every token opens. Requires the role admin.\n\n"
		"A database that this version has created has bound tokens from the start. One\n"
		"that an older server created has them after --bind, which cannot be undone:\n"
		"older servers then neither read nor store tokens, and find no sessions. A token\n"
		"that was moved to another row or column no longer opens. Until the end, tokens\n"
		"of both formats open. An interrupted --bind continues with the next rotate-key.",
		rotate_key},
	{0},
};
