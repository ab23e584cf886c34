/* pierre-dbctl position, wait-for: reads through one daemon see what another one has answered. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "../output.h"
#include "../connect.h"
#include "../options.h"
#include "tree.h"

static int position(struct ctl *ctl, int argc, char **argv)
{
	json_t *result;
	int status = options_none(argc, argv);

	if (status == 0)
		status = tree_call(ctl, "daemon.position", &result);
	if (status != 0)
		return status;
	if (ctl->json)
		tree_print(ctl, result);
	else
		(void)puts(json_string_value(result));
	json_decref(result);
	return 0;
}

static int wait_for(struct ctl *ctl, int argc, char **argv)
{
	static const struct option_row rows[] = {{0}};
	int words = options_read(rows, argc, argv), status;
	json_t *params;
	char *text, *result;

	if (words < 0)
		return EX_USAGE;
	if (words != 1)
		return output_fail(EX_USAGE, "wait-for requires one position");
	params = json_pack("[s]", argv[1]);
	if (params == NULL)
		return output_fail(EX_USAGE, "the position is not a text in UTF-8");
	text = json_dumps(params, JSON_COMPACT);
	json_decref(params);
	if (text == NULL)
		return output_fail(EX_OSERR, "out of memory");
	status = connect_call(ctl, "daemon.wait_for", text, &result);
	free(text);
	if (status != 0)
		return status;
	if (ctl->json)
		(void)puts(result);
	pierre_text_free(result);
	return 0;
}

const struct command position_commands[] = {
	{"position", "", "Print the position of the daemon's database",
		"Examples:\n"
		"  pierre-dbctl position\n"
		"  position=$(pierre-dbctl --socket primary.sock position)\n"
		"  pierre-dbctl --socket standby.sock wait-for \"$position\"\n\n"
		"The position covers every call that the daemon answered before.",
		position},
	{"wait-for", "POSITION", "Wait until the daemon's reads see what a position covers",
		"Example:\n"
		"  pierre-dbctl --socket standby.sock wait-for \"$position\"\n\n"
		"Prints nothing. Exit code 1 when the position belongs to another database, or a\n"
		"standby was promoted since; 75 when the time for one call ran out.",
		wait_for},
	{0},
};
