/* pierre-dbctl call */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../output.h"
#include "../connect.h"
#include "params.h"
#include "catalog.h"
#include "../ctl.h"
#include "../options.h"
#include "../../../protocol/json/json.h"

/* -r: prints a string without quotes. */
static void print_raw(const struct ctl *ctl, const char *text)
{
	struct json json = {0};
	struct arena arena;
	struct err err;

	arena_init(&arena);
	if (json_scan(&json, text, strlen(text), JSON_DEPTH_MAX, &err) == 0 &&
		json.nodes[0].type == JSON_STRING) {
		size_t length;
		const char *string = json_scan_text(&json, 0, &arena, &length);

		if (string != NULL)
			(void)fwrite(string, 1, length, stdout);
		(void)putchar('\n');
	} else {
		output_print_json(ctl, text);
	}
	json_scan_free(&json);
	arena_free(&arena);
}

static int call(struct ctl *ctl, int argc, char **argv)
{
	const struct method *method = NULL;
	bool raw = false, unchecked = false;
	const char *key = NULL;
	const struct option_row rows[] = {
		{.name = "raw", .letter = 'r', .flag = &raw},
		{.name = "unchecked", .flag = &unchecked},
		{.name = "idempotency-key", .text = &key},
		{0},
	};
	int words = options_read(rows, argc, argv), status;
	char *params, *result;

	if (words < 0)
		return EX_USAGE;
	if (words == 0)
		return output_fail(
			EX_USAGE, "call requires a method; `pierre-dbctl methods` lists them");
	if (!unchecked) {
		method = params_find_method(argv[1]);
		if (method == NULL)
			return EX_USAGE;
	}
	status = params_from_arguments(method, words - 1, argv + 2, &params);
	if (status == 0 && key != NULL)
		status = connect_use_key(ctl, key);
	if (status == 0)
		status = connect_call(ctl, argv[1], params, &result);
	if (params != NULL)
		explicit_bzero(params, strlen(params)); /* may hold a password */
	free(params);
	if (status != 0)
		return status;
	if (raw && !ctl->json)
		print_raw(ctl, result);
	else
		output_print_json(ctl, result);
	pierre_text_free(result);
	return 0;
}

const struct command call_commands[] = {
	{"call",
		"[-r] [--unchecked] [--idempotency-key KEY] METHOD "
		"[name=text | name:=json | JSON | @FILE | -]...",
		"Call a method and print its result",
		"Examples:\n"
		"  pierre-dbctl call get_user_count\n"
		"  pierre-dbctl call -r create_user user.email=ana@example.com \\\n"
		"    user.password=@password.txt\n"
		"  pierre-dbctl call create_goal user_id=$ID \\\n"
		"    goal_data:='{\"title\":\"10 km\",\"target\":10}'\n"
		"  pierre-dbctl call get_request_logs limit=5 status_filter=error |\n"
		"    jq '.[].tool_name'\n"
		"  echo '{\"user_id\":\"'$ID'\"}' | pierre-dbctl call get_user -\n\n"
		"name=text   The value is converted to the parameter's type: a number, true or\n"
		"            false, a list (a,b,c), else a string.\n"
		"name=@FILE  The value is the content of FILE (@-: stdin) without a trailing\n"
		"            newline. It keeps secrets off the command line, which other users\n"
		"            can read. A leading @ is written as @@.\n"
		"name:=json  The value is a JSON text.\n"
		"a.b=text    A member of a parameter object or document.\n"
		"JSON        All parameters as one object or array.\n"
		"@FILE, -    The same, from the file or stdin.\n"
		"-r, --raw   Print a string result without quotes.\n"
		"--unchecked Accept a method that is not in the built-in catalog. All values\n"
		"            are sent as strings.\n"
		"--idempotency-key KEY\n"
		"            The daemon carries out a write with this key (1 to 64 bytes) once.\n"
		"            The same call with it, within 24 hours, prints the stored result.",
		call},
	{0},
};
