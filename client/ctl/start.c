#include "start.h"

#include <jansson.h>
#include <stdio.h>

#include "catalog/tree.h"
#include "connect.h"

enum { COMMAND_WIDTH = 38 };
#define PATIENCE_S 2.0

/* One line, or two when the command is long. */
static void start_suggest(const char *command, const char *purpose)
{
	int width = fprintf(stderr, "  %s", command);

	(void)fprintf(stderr, "%s%*s%s\n", width > COMMAND_WIDTH ? "\n" : "",
		width > COMMAND_WIDTH ? COMMAND_WIDTH + 2 : COMMAND_WIDTH + 2 - width, "", purpose);
}

/* A command of this program, for the same socket. */
static void start_suggest_own(const struct ctl *ctl, const char *command, const char *purpose)
{
	char text[PIERRE_PATH_SIZE + 128];

	(void)snprintf(text, sizeof text, "pierre-dbctl%s%s %s",
		ctl->socket != NULL ? " --socket " : "", ctl->socket != NULL ? ctl->socket : "",
		command);
	start_suggest(text, purpose);
}

static void advise_with_daemon(const struct ctl *ctl, const json_t *version)
{
	(void)fprintf(stderr, "pierre-dbd %s (%s) answers. Type next:\n",
		tree_text(version, "version"), tree_text(version, "backend"));
	start_suggest_own(ctl, "call get_user_count", "a first call");
	start_suggest_own(ctl, "methods", "list all methods");
	start_suggest_own(ctl, "describe create_user", "show a method's parameters");
	start_suggest_own(ctl, "shell", "call methods line by line");
}

static void advise_refused(const struct ctl *ctl, const struct pierre_error *error)
{
	(void)fprintf(stderr, "The daemon answers, but not to this user:\n  %s\nType next:\n",
		error->message);
	start_suggest_own(ctl, "doctor", "find out why");
}

static void advise_without_daemon(const struct ctl *ctl, const struct pierre_error *error)
{
	(void)fprintf(stderr, "No daemon answers:\n  %s\nType next:\n", error->message);
	start_suggest_own(ctl, "doctor", "find out why");
	start_suggest("systemctl start pierre-dbd", "start the installed service");
	(void)fputs("or make a key, and start a daemon of your own with its data in ./data:\n"
		    "  (umask 077; pierre-dbd --generate-key >pierre.key)\n"
		    "  pierre-dbd --encryption-key-file pierre.key &\n",
		stderr);
	(void)fputs("These need no daemon:\n", stderr);
	start_suggest_own(ctl, "methods", "list all methods");
	start_suggest_own(ctl, "describe create_user", "show a method's parameters");
}

void start_advise(struct ctl *ctl)
{
	struct pierre_error error;
	struct pierre *db;
	char *answer = NULL;

	(void)fputs("usage: pierre-dbctl [options] COMMAND [arguments]\n\n", stderr);
	if (ctl->timeout_seconds <= 0)
		ctl->timeout_seconds = PATIENCE_S;
	db = connect_open(ctl);
	if (db == NULL)
		return;
	if (pierre_call(db, "daemon.version", NULL, &answer, &error) == 0) {
		json_t *version = json_loads(answer, 0, NULL);

		advise_with_daemon(ctl, version);
		json_decref(version);
		pierre_text_free(answer);
	} else if (error.code != 0) {
		advise_refused(ctl, &error);
	} else {
		advise_without_daemon(ctl, &error);
	}
	start_suggest_own(ctl, "--help", "list all commands and options");
}
