/* The requests of a benchmark, encoded in advance. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../output.h"
#include "../text.h"
#include "../catalog/params.h"
#include "bench_lines.h"
#include "../ctl.h"
#include "../../../protocol/wire/rpc.h"
#include "buffer.h"
#include "catalog.h"
#include "../../../protocol/json/json.h"

enum { LINES_MAX = 200000, ARGUMENTS_MAX = 64 };

/* An argument whose values are the lines of a file. */
struct varying {
	char *name; /* `user_id=` */
	char *text; /* the content of the file */
	char **values;
	size_t count;
};

static int split_lines(struct varying *varying, const char *path)
{
	char *at = varying->text;

	varying->values = calloc(LINES_MAX, sizeof *varying->values);
	if (varying->values == NULL)
		return output_fail(EX_OSERR, "out of memory");
	while (*at != '\0' && varying->count < LINES_MAX) {
		size_t length = strcspn(at, "\r\n");

		if (length > 0)
			varying->values[varying->count++] = at;
		at += length;
		if (*at != '\0')
			*at++ = '\0';
	}
	return varying->count > 0 ? 0 : output_fail(EX_DATAERR, "%s: contains no lines", path);
}

/* Returns 0 with ->name NULL for an ordinary argument. */
static int read_varying(const char *argument, struct varying *varying)
{
	const char *equals = strchr(argument, '=');
	size_t length;

	if (equals == NULL || equals[1] != '@' || equals[2] == '@' || equals[2] == '\0')
		return 0;
	varying->text = text_of_file(equals + 2, &length);
	if (varying->text == NULL)
		return EX_NOINPUT;
	varying->name = strndup(argument, (size_t)(equals - argument) + 1);
	if (varying->name == NULL)
		return output_fail(EX_OSERR, "out of memory");
	return split_lines(varying, equals + 2);
}

static void find_marks(struct bench_line *line)
{
	static const char mark[] = "{n}";
	size_t mark_length = sizeof mark - 1;

	for (char *at = strstr(line->text, mark); at != NULL && line->mark_count < BENCH_MARKS;
		at = strstr(at, mark)) {
		size_t rest = line->length - (size_t)(at - line->text) - mark_length;

		line->marks[line->mark_count++] = (uint32_t)(at - line->text);
		memmove(at, at + mark_length, rest + 1);
		line->length -= (uint32_t)mark_length;
	}
}

static int make_line(const struct method *method, int argc, char **argv, struct bench_line *line)
{
	struct buffer text = {0};
	char *params;
	int status = params_from_arguments(method, argc, argv, &params);

	if (status != 0)
		return status;
	buffer_text(&text, RPC_METHOD);
	json_write_string(&text, method->name, strlen(method->name));
	if (params != NULL) {
		buffer_text(&text, RPC_PARAMS);
		buffer_text(&text, params);
	}
	buffer_text(&text, "}\n");
	free(params);
	if (text.failure != BUFFER_OK || text.length > UINT32_MAX / 2) {
		buffer_free(&text);
		return output_fail(EX_OSERR, "out of memory");
	}
	line->length = (uint32_t)text.length;
	buffer_byte(&text, '\0');
	line->text = text.data;
	find_marks(line);
	return text.failure == BUFFER_OK ? 0 : output_fail(EX_OSERR, "out of memory");
}

/* The arguments with the values of one line of each file. *made: the allocated ones. */
static bool fill_arguments(char **out, char **made, const struct varying *varying, int argc,
	char **argv, size_t number)
{
	for (int i = 0; i < argc; i++) {
		const char *value;

		made[i] = NULL;
		out[i] = argv[i];
		if (varying[i].name == NULL)
			continue;
		value = varying[i].values[number % varying[i].count];
		if (asprintf(&made[i], "%s%s%s", varying[i].name, *value == '@' ? "@" : "", value) <
			0) {
			made[i] = NULL;
			return false;
		}
		out[i] = made[i];
	}
	return true;
}

static int make_lines(struct bench_group *group, const struct method *method,
	const struct varying *varying, int argc, char **argv)
{
	char *arguments[ARGUMENTS_MAX], *made[ARGUMENTS_MAX] = {0};
	size_t count = 1;
	int status = 0;

	for (int i = 0; i < argc; i++)
		if (varying[i].count > count)
			count = varying[i].count;
	group->lines = calloc(count, sizeof *group->lines);
	if (group->lines == NULL)
		return output_fail(EX_OSERR, "out of memory");
	for (; group->count < count && status == 0; group->count++) {
		if (fill_arguments(arguments, made, varying, argc, argv, group->count))
			status = make_line(method, argc, arguments, &group->lines[group->count]);
		else
			status = output_fail(EX_OSERR, "out of memory");
		for (int i = 0; i < argc; i++)
			free(made[i]);
	}
	return status;
}

int bench_lines_work_add(struct bench_work *work, uint64_t weight, int argc, char **argv)
{
	struct varying varying[ARGUMENTS_MAX] = {0};
	const struct method *method = params_find_method(argv[0]);
	struct bench_group *groups;
	int status = 0;

	if (method == NULL)
		return EX_USAGE;
	if (argc - 1 > ARGUMENTS_MAX)
		return output_fail(EX_USAGE, "at most %d parameters are allowed", ARGUMENTS_MAX);
	groups = realloc(work->groups, (work->count + 1) * sizeof *groups);
	if (groups == NULL)
		return output_fail(EX_OSERR, "out of memory");
	work->groups = groups;
	groups[work->count] = (struct bench_group){.weight = weight};
	work->weights += weight;
	for (int i = 0; i + 1 < argc && status == 0; i++)
		status = read_varying(argv[i + 1], &varying[i]);
	if (status == 0)
		status = make_lines(&groups[work->count], method, varying, argc - 1, argv + 1);
	work->count++;
	for (int i = 0; i + 1 < argc; i++) {
		free(varying[i].name);
		free(varying[i].text);
		free(varying[i].values);
	}
	return status;
}

/* Splits a line of the file at white space outside single quotes. */
static int cut_words(char *line, char **words, int max)
{
	int count = 0;

	while (count < max) {
		char *out;

		line += strspn(line, " \t");
		if (*line == '\0')
			break;
		words[count++] = out = line;
		for (bool quoted = false;
			*line != '\0' && (quoted || (*line != ' ' && *line != '\t')); line++) {
			if (*line == '\'')
				quoted = !quoted;
			else
				*out++ = *line;
		}
		if (*line != '\0')
			line++;
		*out = '\0';
	}
	return count;
}

int bench_lines_work_read(struct bench_work *work, const char *path)
{
	size_t length;
	char *text = text_of_file(path, &length), *rest = text, *line;
	int status = 0;

	if (text == NULL)
		return EX_NOINPUT;
	while (status == 0 && (line = strsep(&rest, "\n")) != NULL) {
		char *words[ARGUMENTS_MAX];
		int count = cut_words(line, words, ARGUMENTS_MAX);
		uint64_t weight;

		if (count == 0 || words[0][0] == '#')
			continue;
		if (count < 2 || !text_to_number(words[0], 1, 1000000, &weight))
			status = output_fail(EX_DATAERR,
				"%s: expected WEIGHT METHOD params…, not \"%s\"", path, words[0]);
		else
			status = bench_lines_work_add(work, weight, count - 1, words + 1);
	}
	free(text);
	if (status == 0 && work->count == 0)
		return output_fail(EX_DATAERR, "%s: contains no method", path);
	return status;
}

void bench_lines_work_free(struct bench_work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		for (size_t j = 0; j < work->groups[i].count; j++)
			free(work->groups[i].lines[j].text);
		free(work->groups[i].lines);
	}
	free(work->groups);
	*work = (struct bench_work){0};
}
