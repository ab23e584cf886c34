/* pierre-dbctl transaction */
#include <stdlib.h>
#include <string.h>

#include "../connect.h"
#include "../ctl.h"
#include "../options.h"
#include "../output.h"
#include "../text.h"
#include "params.h"
#include "buffer.h"
#include "catalog.h"
#include "../../../protocol/json/json_add.h"

/* One call: METHOD and its parameters. */
static int write_call(struct buffer *out, int argc, char **argv)
{
	const struct method *method;
	char *params;
	int status;

	if (argc == 0)
		return output_fail(EX_USAGE, "a call requires a method: METHOD [name=text ...]");
	method = params_find_method(argv[0]);
	if (method == NULL)
		return EX_USAGE;
	status = params_from_arguments(method, argc - 1, argv + 1, &params);
	if (status != 0)
		return status;
	json_add_object(out, NULL);
	json_add_text(out, "method", argv[0]);
	if (params != NULL) {
		json_add_json(out, "params", params);
		explicit_bzero(params, strlen(params)); /* may hold a password */
	}
	json_add_end(out, '}');
	free(params);
	return 0;
}

/* METHOD … , METHOD … */
static int calls_of_arguments(struct buffer *out, int argc, char **argv)
{
	int status = 0;

	for (int at = 0; status == 0 && at <= argc;) {
		int end = at;

		while (end < argc && strcmp(argv[end], ",") != 0)
			end++;
		status = write_call(out, end - at, argv + at);
		at = end + 1;
	}
	return status;
}

/* An array of calls, or one call a line. */
static int calls_of_file(struct buffer *out, const char *path)
{
	size_t length;
	char *text = text_of_file(path, &length), *rest = text, *line;

	if (text == NULL)
		return EX_NOINPUT;
	if (strlen(text) != length) {
		free(text);
		return output_fail(EX_DATAERR, "%s: contains a NUL byte", path);
	}
	if (text[strspn(text, " \t\r\n")] == '[') {
		char *begin = strchr(text, '['), *end = strrchr(text, ']');

		if (end != NULL && end[1 + strspn(end + 1, " \t\r\n")] == '\0')
			*end = '\0';
		buffer_text(out, begin + 1);
	} else {
		while ((line = strsep(&rest, "\n")) != NULL)
			if (line[strspn(line, " \t\r")] != '\0')
				json_add_json(out, NULL, line);
	}
	explicit_bzero(text, length);
	free(text);
	return 0;
}

static int call_transaction(struct ctl *ctl, const char *params)
{
	char *result;
	int status = connect_call(ctl, "daemon.transaction", params, &result);

	if (status != 0)
		return status;
	output_print_json(ctl, result);
	pierre_text_free(result);
	return 0;
}

static int transaction(struct ctl *ctl, int argc, char **argv)
{
	const struct option_row rows[] = {{0}};
	struct buffer params = {0};
	int words = options_read(rows, argc, argv), status;

	if (words < 0)
		return EX_USAGE;
	if (words == 0)
		return output_fail(EX_USAGE,
			"transaction requires calls: METHOD [name=text ...] "
			"[, METHOD ...], @FILE or -");
	json_add_object(&params, NULL);
	json_add_array(&params, "calls");
	if (words == 1 && (strcmp(argv[1], "-") == 0 || argv[1][0] == '@'))
		status = calls_of_file(&params, argv[1] + (argv[1][0] == '@'));
	else
		status = calls_of_arguments(&params, words, argv + 1);
	json_add_end(&params, ']');
	json_add_end(&params, '}');
	buffer_byte(&params, '\0');
	if (status == 0 && params.failure != BUFFER_OK)
		status = output_fail(EX_OSERR, "out of memory");
	if (status == 0)
		status = call_transaction(ctl, params.data);
	if (params.data != NULL)
		buffer_wipe(&params); /* may hold a password */
	buffer_free(&params);
	return status;
}

const struct command transaction_commands[] = {
	{"transaction", "METHOD [name=text ...] [, METHOD ...]... | @FILE | -",
		"Run calls in one transaction and print their results",
		"Examples:\n"
		"  pierre-dbctl transaction create_user user.email=ana@example.com \\\n"
		"    user.password=@pw.txt , get_user_count\n"
		"  pierre-dbctl transaction @calls.json\n"
		"  echo '{\"method\":\"update_last_active\",\"params\":[\"'$ID'\"]}' |\n"
		"    pierre-dbctl transaction -\n\n"
		"The calls run in order, and each sees the changes of those before it. If one\n"
		"fails, nothing is changed, and the message names it; the first call is 0.\n\n"
		"METHOD …    The parameters are written as for `call`. A comma on its own\n"
		"            separates the calls.\n"
		"@FILE, -    The calls, from the file or stdin: a JSON array, or a JSON object on\n"
		"            each line, with `method` and `params`.",
		transaction},
	{0},
};
