#include "shell_complete.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../catalog/params.h"
#include "../ctl.h"
#include "catalog.h"
#include "shell_fields.h"
#include "shell_words.h"

enum { CANDIDATE_MAX = 256 };

/* The end of a command: the word at the cursor, and what precedes it. */
struct context {
	struct shell_complete *found;
	const char *current;
	const struct shell_words *words;
	int before; /* words before the current one */
};

static void offer(struct context *context, const char *candidate)
{
	struct shell_complete *found = context->found;
	char *copy;

	if (found->failed || strncmp(candidate, context->current, found->typed) != 0)
		return;
	for (size_t i = 0; i < found->count; i++)
		if (strcmp(found->list[i], candidate) == 0)
			return;
	if (found->count == found->capacity) {
		size_t capacity = found->capacity == 0 ? 32 : found->capacity * 2;
		char **list = reallocarray(found->list, capacity, sizeof *list);

		found->failed = list == NULL;
		if (list == NULL)
			return;
		found->list = list;
		found->capacity = capacity;
	}
	copy = strdup(candidate);
	found->failed = copy == NULL;
	if (copy != NULL)
		found->list[found->count++] = copy;
}

static void offer_methods(struct context *context)
{
	for (size_t i = 0; i < catalog_method_count; i++)
		offer(context, catalog_methods[i].name);
}

static void offer_commands(struct context *context)
{
	for (const struct command *const *family = command_families; *family != NULL; family++)
		for (const struct command *command = *family; command->name != NULL; command++)
			if (command != shell_commands)
				offer(context, command->name);
	offer(context, "help");
}

static const struct command *command_named(const char *name)
{
	for (const struct command *const *family = command_families; *family != NULL; family++)
		for (const struct command *command = *family; command->name != NULL; command++)
			if (strcmp(command->name, name) == 0)
				return command;
	return NULL;
}

/* The long options of a command, from its usage. */
static void offer_options(struct context *context, const char *name)
{
	const struct command *command = command_named(name);
	const char *at = command != NULL ? strstr(command->arguments, "--") : NULL;
	char option[CANDIDATE_MAX];

	for (; at != NULL; at = strstr(at + 2, "--")) {
		(void)snprintf(option, sizeof option, "%.*s", (int)strcspn(at, " ]"), at);
		offer(context, option);
	}
}

/* Whether an earlier word gives this parameter. */
static bool is_given(const struct context *context, const char *name, size_t length)
{
	for (int i = 1; i < context->before; i++) {
		const char *word = context->words->list[i];

		if (shell_fields_name_length(word) == length && strncmp(word, name, length) == 0)
			return true;
	}
	return false;
}

static void offer_value(struct context *context, const struct field *field, const char *value)
{
	char candidate[CANDIDATE_MAX];

	(void)snprintf(candidate, sizeof candidate, "%s=%s", field->path, value);
	offer(context, candidate);
}

static void offer_values(struct context *context, const struct method *method)
{
	const struct field *field;

	if (shell_fields_find(method, context->current, shell_fields_name_length(context->current),
		    &field) != SHELL_FIELDS_FOUND)
		return;
	if (field->type == TYPE_BOOL) {
		offer_value(context, field, "true");
		offer_value(context, field, "false");
	}
	if (field->enumeration == NULL)
		return;
	for (const char *const *value = field->enumeration->values; *value != NULL; value++)
		offer_value(context, field, *value);
}

/* Members of a document that the method reads. */
static void offer_extracts(struct context *context, const struct field *field)
{
	char candidate[CANDIDATE_MAX];
	size_t length = strlen(field->path);

	if (strncmp(context->current, field->path, length) != 0 || context->current[length] != '.')
		return;
	for (unsigned i = 0; i < field->extract_count; i++) {
		(void)snprintf(candidate, sizeof candidate, "%s.%s=", field->path,
			field->extracts[i].names[0]);
		if (!is_given(context, candidate, strlen(candidate) - 1))
			offer(context, candidate);
	}
}

static void offer_fields(struct context *context, const struct field *fields, unsigned count)
{
	char candidate[CANDIDATE_MAX];

	for (unsigned i = 0; i < count; i++) {
		const struct field *field = &fields[i];

		if (field->type == TYPE_OBJECT) {
			offer_fields(context, field->members, field->member_count);
			continue;
		}
		offer_extracts(context, field);
		if (field->type == TYPE_NULL || field->type == TYPE_ANY ||
			is_given(context, field->path, strlen(field->path)))
			continue;
		(void)snprintf(candidate, sizeof candidate, "%s%s", field->path,
			params_takes_json(field) ? ":=" : "=");
		offer(context, candidate);
	}
}

/* The method whose parameters stand at the cursor: the first one, or in a transaction the first one
 * after the last comma. */
static const struct method *method_at(const struct context *context)
{
	const struct method *method = NULL;

	for (int i = 0; i < context->before; i++) {
		const char *word = context->words->list[i];

		if (strcmp(word, ",") == 0)
			method = NULL;
		else if (method == NULL)
			method = catalog_find(word, strlen(word));
	}
	return method;
}

static void complete_word(struct context *context)
{
	const char *first = context->before > 0 ? context->words->list[0] : "";
	const struct method *method = method_at(context);
	bool calls = strcmp(first, "call") == 0 || strcmp(first, "transaction") == 0 ||
		strcmp(first, "bench") == 0;

	if (context->before == 0) {
		offer_methods(context);
		offer_commands(context);
		offer(context, "quit");
	} else if (*context->current == '-') {
		offer_options(context, method != NULL && !calls ? "call" : first);
	} else if (strcmp(first, "describe") == 0 || strcmp(first, "help") == 0) {
		if (context->before == 1)
			offer_methods(context);
		if (context->before == 1 && *first == 'h')
			offer_commands(context);
	} else if (method == NULL) {
		if (calls)
			offer_methods(context);
	} else if (shell_fields_name_length(context->current) > 0) {
		offer_values(context, method);
	} else {
		offer_fields(context, method->params, method->param_count);
	}
}

void shell_complete_find(struct shell_complete *found, const char *command)
{
	struct shell_words words;
	struct context context = {.found = found, .words = &words};
	size_t length = strlen(command);

	*found = (struct shell_complete){.count = 0};
	if (shell_words_split(&words, command) == SHELL_WORDS_WHOLE) {
		bool in_word = length > 0 && strchr(" \t\n", command[length - 1]) == NULL;

		context.current = in_word ? command + words.last : "";
		context.before = words.count - (in_word ? 1 : 0);
		found->typed = strlen(context.current);
		complete_word(&context);
	}
	shell_words_free(&words);
}

void shell_complete_free(struct shell_complete *found)
{
	for (size_t i = 0; i < found->count; i++)
		free(found->list[i]);
	free(found->list);
	*found = (struct shell_complete){.count = 0};
}

size_t shell_complete_common(const struct shell_complete *found)
{
	size_t common = found->count > 0 ? strlen(found->list[0]) : 0;

	for (size_t i = 1; i < found->count; i++)
		for (size_t at = 0; at < common; at++)
			if (found->list[i][at] != found->list[0][at])
				common = at;
	return common;
}
