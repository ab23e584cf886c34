#include "verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../protocol/json/json.h"
#include "../protocol/json/json_add.h"
#include "../protocol/value.h"
#include "secrets/rotation.h"

enum { PROBLEMS_LOGGED = 50 };

void verify_free(struct verify_report *report)
{
	buffer_free(&report->tables);
	buffer_free(&report->problems);
}

void verify_problem(struct verify_report *report, const char *format, ...)
{
	char text[400];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (report->problem_count++ >= PROBLEMS_LOGGED)
		return;
	if (!utf8_valid(text, strlen(text)))
		(void)snprintf(text, sizeof text, "a value that is not a text");
	if (report->problems.length > 0)
		buffer_byte(&report->problems, ',');
	json_write_string(&report->problems, text, strlen(text));
}

void verify_begin_tables(struct verify_report *report)
{
	json_add_object(&report->tables, NULL);
}

void verify_table(struct verify_report *report, const char *name, uint64_t rows)
{
	json_add_count(&report->tables, name, rows);
	report->rows += rows;
}

void verify_end_tables(struct verify_report *report)
{
	json_add_end(&report->tables, '}');
}

int verify_token(struct verify_report *report, struct seal *seal,
	const struct rotation_token *token, struct err *err)
{
	struct binding_owner owner;
	struct arena arena = {.wipe = true};
	const char *plain;
	size_t length;
	int result = 0;

	if (!token->whole || token->stored[0] == NULL || token->stored[1] == NULL ||
		token->stored[2] == NULL)
		return 0; /* incomplete: no token */
	report->tokens++;
	rotation_own(&owner, token);
	for (int part = 0; part < 2 && result == 0; part++)
		result = seal_open(seal, &owner, &arena, token->stored[part], token->length[part],
			token->stored[2], token->length[2], part, &plain, &length, err);
	arena_free(&arena);
	if (result == 0)
		return 0;
	if (err->kind != ERR_DECRYPTION_FAILED)
		return -1;
	report->unreadable++;
	verify_problem(
		report, "the %s token of user %s cannot be opened", token->provider, token->user);
	return 0;
}

void verify_session_tokens(struct verify_report *report, uint64_t plain)
{
	if (plain > 0)
		verify_problem(report, "%llu session tokens are not stored as hashes",
			(unsigned long long)plain);
}

int verify_look_at_token(void *argument, const struct rotation_token *token)
{
	struct verify_look *look = argument;

	return verify_token(look->report, look->seal, token, look->err);
}
