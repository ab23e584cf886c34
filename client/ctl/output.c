/* Messages and JSON on the terminal. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "pretty.h"
#include "buffer.h"
#include "ctl.h"
#include "../../protocol/json/json_add.h"
#include "value.h"

static bool as_json; /* for messages; many are about arguments, before a struct ctl exists */

static const char *speaker = "pierre-dbctl";
static bool shows_members;

void output_speak_as(const char *name, bool members)
{
	speaker = name;
	shows_members = members;
}

void output_messages_as_json(void)
{
	as_json = true;
}

/* A message has the same form as a failed call. */
static void begin_error(struct buffer *out, const char *kind, int code)
{
	json_add_object(out, NULL);
	json_add_object(out, "error");
	json_add_text(out, "kind", kind);
	json_add_integer(out, "code", code);
}

/* ref: 0 for none. Prints and frees the line. */
static void end_error(struct buffer *out, int outcome, bool retryable, uint64_t ref)
{
	json_add_text(out, "outcome", outcome == PIERRE_OUTCOME_UNKNOWN ? "unknown" : "none");
	json_add_bool(out, "retryable", retryable);
	if (ref != 0)
		json_add_count(out, "ref", ref);
	json_add_end(out, '}');
	json_add_end(out, '}');
	buffer_byte(out, '\n');
	(void)fwrite(out->data, 1, out->length, stderr);
	buffer_free(out);
}

static void print_message_json(int code, const char *message)
{
	static const struct {
		int code;
		const char *kind;
	} kinds[] = {
		{0, "note"},
		{EXIT_DAEMON_ERROR, "failed"},
		{EX_USAGE, "usage"},
		{EX_DATAERR, "bad_data"},
		{EX_NOINPUT, "no_input"},
		{EX_UNAVAILABLE, "not_available"},
		{EX_OSERR, "system"},
		{EX_OSFILE, "system"},
		{EX_CANTCREAT, "cannot_create"},
		{EX_IOERR, "input_output"},
		{EX_TEMPFAIL, "try_again"},
		{EX_PROTOCOL, "bad_answer"},
	};
	struct buffer out = {0};
	size_t i = 0;

	while (i + 1 < sizeof kinds / sizeof kinds[0] && kinds[i].code != code)
		i++;
	begin_error(&out, kinds[i].kind, 0);
	json_add_text(
		&out, "message", utf8_valid(message, strlen(message)) ? message : "(not UTF-8)");
	end_error(&out, PIERRE_OUTCOME_NONE, code == EX_TEMPFAIL, 0);
}

int output_fail(int code, const char *format, ...)
{
	char message[4096];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(message, sizeof message, format, args);
	va_end(args);
	if (as_json)
		print_message_json(code, message);
	else
		(void)fprintf(stderr, "%s: %s\n", speaker, message);
	return code;
}

void output_hint(const char *format, ...)
{
	va_list args;

	if (as_json)
		return;
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
}

static int exit_code(const struct pierre_error *error)
{
	if (error->code != 0)
		return EXIT_DAEMON_ERROR;
	switch (error->kind) {
	case PIERRE_NO_CONNECTION:
		return EX_TEMPFAIL;
	case PIERRE_BROKEN:
	case PIERRE_NO_ANSWER:
		return error->outcome == PIERRE_OUTCOME_UNKNOWN ? EX_IOERR : EX_TEMPFAIL;
	case PIERRE_BAD_ANSWER:
		return EX_PROTOCOL;
	case PIERRE_NO_MEMORY:
		return EX_OSERR;
	default:
		return EX_USAGE; /* the library refused the parameters; nothing was sent */
	}
}

static void add_given(struct buffer *out, const char *name, const char *text)
{
	if (*text != '\0')
		json_add_text(out, name, text);
}

static void print_error_json(const struct pierre_error *error)
{
	struct buffer out = {0};

	begin_error(&out, pierre_kind_name(error->kind), error->code);
	add_given(&out, "message", error->message);
	add_given(&out, "path", error->path);
	add_given(&out, "field", error->field);
	if (error->index >= 0)
		json_add_integer(&out, "index", error->index);
	end_error(&out, error->outcome, error->retryable, error->ref);
}

static void advise_connecting(const struct ctl *ctl)
{
	char path[PIERRE_PATH_SIZE];
	const char *socket = ctl->socket != NULL                      ? ctl->socket
		: pierre_default_socket(path, sizeof path, NULL) == 0 ? path
								      : "PATH";

	if (access(socket, W_OK) != 0 && errno == EACCES)
		(void)fputs("try: pierre-dbctl doctor, which shows who may connect\n", stderr);
	else
		(void)fprintf(stderr,
			"try: pierre-dbctl doctor, or systemctl status pierre-dbd,\n"
			"     or start a daemon with pierre-dbd --socket %s\n",
			socket);
	if (ctl->socket == NULL)
		(void)fputs("     --socket PATH or $PIERRE_DBD_SOCKET selects another socket\n",
			stderr);
}

/* In the order of error.data. */
static void print_members_of(const struct pierre_error *error)
{
	(void)fprintf(stderr, "  code: %d", error->code);
	if (*error->path != '\0')
		(void)fprintf(stderr, "  path: %s", error->path);
	if (*error->field != '\0')
		(void)fprintf(stderr, "  field: %s", error->field);
	(void)fprintf(stderr, "  retryable: %s\n", error->retryable ? "true" : "false");
}

int output_call_failed(const struct ctl *ctl, const struct pierre_error *error)
{
	if (ctl->json) {
		print_error_json(error);
		return exit_code(error);
	}
	(void)fprintf(
		stderr, "%s: %s: %s\n", speaker, pierre_kind_name(error->kind), error->message);
	if (shows_members && error->code != 0)
		print_members_of(error);
	if (error->index >= 0)
		(void)fprintf(stderr, "call %d of the transaction has failed (the first is 0)\n",
			error->index);
	if (error->kind == PIERRE_NO_CONNECTION)
		advise_connecting(ctl);
	if (error->outcome == PIERRE_OUTCOME_UNKNOWN)
		(void)fputs("the outcome of the change is unknown: check before you try again\n",
			stderr);
	if (error->ref != 0)
		(void)fprintf(stderr, "see the daemon's log for ref=%llu\n",
			(unsigned long long)error->ref);
	return exit_code(error);
}

static const char *escape(const struct ctl *ctl, const char *sequence)
{
	return ctl->colours ? sequence : "";
}

const char *output_bold(const struct ctl *ctl)
{
	return escape(ctl, "\033[1m");
}

const char *output_dim(const struct ctl *ctl)
{
	return escape(ctl, "\033[2m");
}

const char *output_plain(const struct ctl *ctl)
{
	return escape(ctl, "\033[0m");
}

const char *output_status_colour(const struct ctl *ctl, const char *status)
{
	return escape(ctl,
		strcmp(status, "ok") == 0                 ? "\033[32m"
			: strcmp(status, "degraded") == 0 ? "\033[33m"
							  : "\033[31m");
}

void output_print_json(const struct ctl *ctl, const char *text)
{
	if (ctl->terminal && !ctl->json)
		pretty_print(ctl, text);
	else
		(void)puts(text);
}
