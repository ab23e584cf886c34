/* pierre-dbctl rotate-key: drives a change of the key to its end. */
#include <jansson.h>
/* protocol/json/json.h has functions of these names; calling jansson's by them would end there. */
#pragma GCC poison json_string json_integer json_scan_real
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

/* What a restart, a lock or an outage causes passes; the step can be made again whatever became of
 * it. */
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

/* One step, tried again for a while. *tree is the caller's. `first`: nothing has answered yet, so
 * there may be nothing to wait for. */
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

			error.outcome =
				PIERRE_OUTCOME_NONE; /* of no matter: it goes on from any state */
			status = output_call_failed(ctl, &error);
			if (!first)
				(void)output_fail(0,
					"the change of the key is not finished: run rotate-key again, it goes on");
			return status;
		}
		(void)nanosleep(&(struct timespec){.tv_nsec = REST_MS * 1000000L}, NULL);
	}
	*tree = json_loads(result, 0, &problem);
	pierre_text_free(result);
	return *tree != NULL
		? 0
		: output_fail(EX_PROTOCOL, "rotate_key: the answer is not understood: %s",
			  problem.text);
}

/* Until nothing is left to do. *resealed: of all steps. */
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
		what = tree_number(*tree, "pass") > 1 ? "checking" : "sealing anew";
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

	(void)printf("all tokens of %.0f users are under the key %s", tree_number(tree, "checked"),
		tree_text(tree, "key"));
	if (resealed > 0)
		(void)printf("; %.0f were sealed anew", resealed);
	if (*previous != '\0')
		(void)printf(
			"\nthe previous key %s is needed no more: take it out of the settings and restart the daemon",
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
							 : "a previous key, which is not given",
		tree_text(tree, "previous_key"));
	json_array_foreach (list, i, token)
		(void)output_fail(0, "  user %s, %s", tree_text(token, "user_id"),
			tree_text(token, "provider"));
	if (count > (double)json_array_size(list))
		(void)output_fail(0, "  and %.0f more", count - (double)json_array_size(list));
	return output_fail(EXIT_DAEMON_ERROR,
		"they were sealed with a third key, or altered: give that key as the previous one, or clear them (%s) so that "
		"their users connect again; then run rotate-key again",
		&clear[2]);
}

static int rotate_key(struct ctl *ctl, int argc, char **argv)
{
	json_t *tree = NULL;
	double resealed;
	bool finished;
	int status;

	if (argc != 1)
		return output_fail(
			EX_USAGE, "%s takes no arguments: the daemon is given the keys", argv[0]);
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
	{"rotate-key", "", "seals all tokens anew under the key in use, while the daemon goes on",
		"Example:\n"
		"  pierre-dbd --generate-key    # the new key; then restart the daemon with it, and the old one as PREVIOUS_ENCRYPTION_KEY\n"
		"  pierre-dbctl rotate-key      # then restart the daemon without PREVIOUS_ENCRYPTION_KEY\n\n"
		"The daemon opens what either key has sealed and seals with the new one only. This seals the rest anew, in short transactions, and ends with\n"
		"0 once a pass over all users has found nothing that the new key does not open. It may be stopped at any moment, as may the\n"
		"daemon: run again, it goes on. It ends with 1 when there are tokens that no key opens, and names their users. Until it has ended with 0\n"
		"the daemon does not start without the previous key. Without a previous key it checks that every token opens. Needs the role admin.",
		rotate_key},
	{0},
};
