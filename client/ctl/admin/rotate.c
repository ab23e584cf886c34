/* pierre-dbctl rotate-key: calls rotate_key until the key rotation is complete. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../output.h"
#include "../connect.h"
#include "../progress.h"
#include "../catalog/tree.h"
#include "providers.gen.h"
#include "value.h"

#define CLEAR(provider, title) ", clear_" provider "_token"

enum { PATIENCE_S = 30, REST_MS = 200 };

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
static int rotate_step(struct ctl *ctl, bool first, json_t **tree)
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
	while (pierre_call(db, "rotate_key", NULL, &result, &error) != 0) {
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

/* Repeats the step until nothing is left to do. *resealed: the sum of all steps. */
static int drive(struct ctl *ctl, json_t **tree, double *resealed)
{
	struct progress progress;
	bool first = true;
	int status;

	*resealed = 0;
	progress_begin(&progress, ctl, "users");
	for (;;) {
		const char *what;

		status = rotate_step(ctl, first, tree);
		if (status != 0)
			break;
		first = false;
		*resealed += tree_number(*tree, "resealed");
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

static void tell_finished(const json_t *tree, double resealed)
{
	const char *previous = tree_text(tree, "previous_key");

	(void)printf("all tokens of %.0f users are sealed with the key %s",
		tree_number(tree, "checked"), tree_text(tree, "key"));
	if (resealed > 0)
		(void)printf("; %.0f were re-encrypted", resealed);
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
		"they were sealed with a third key, or are damaged: set that key as the previous "
		"one, or clear them (%s) so that their users reconnect; then run rotate-key again",
		&clear[2]);
}

static int rotate_key(struct ctl *ctl, int argc, char **argv)
{
	json_t *tree = NULL;
	double resealed;
	bool finished;
	int status;

	if (argc != 1)
		return output_fail(EX_USAGE,
			"%s accepts no arguments: the keys are settings of the daemon", argv[0]);
	status = drive(ctl, &tree, &resealed);
	if (status != 0)
		return status;
	finished = strcmp(tree_text(tree, "state"), "finished") == 0;
	if (ctl->json) {
		(void)json_object_set_new(tree, "resealed", json_pack("I", (json_int_t)resealed));
		tree_print(ctl, tree);
	} else if (finished) {
		tell_finished(tree, resealed);
	}
	if (!finished)
		status = tell_blocked(tree);
	json_decref(tree);
	return status;
}

const struct command rotate_commands[] = {
	{"rotate-key", "", "Re-encrypt all tokens with the current key",
		"Examples:\n"
		"  pierre-dbd --generate-key    # the new key; restart the daemon with it,\n"
		"                               # and the old one as PREVIOUS_ENCRYPTION_KEY\n"
		"  pierre-dbctl rotate-key      # then restart without PREVIOUS_ENCRYPTION_KEY\n\n"
		"The daemon opens tokens that either key has sealed, and seals with the new key\n"
		"only. This command re-encrypts the remaining tokens in short transactions while\n"
		"the daemon runs. It can be interrupted at any time, and so can the daemon: run\n"
		"it again to continue.\n\n"
		"Exit code 0: a full pass found that every token opens with the new key. Until\n"
		"then the daemon does not start without the previous key. Exit code 1: some\n"
		"tokens open with neither key; the users are listed. Without a previous key the\n"
		"command checks that every token opens. Requires the role admin.",
		rotate_key},
	{0},
};
