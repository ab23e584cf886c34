#include "widen.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Skips one token at `at`: a literal, a quoted name, a comment, or one character. */
static const char *token_end(const char *at)
{
	char close = *at == '[' ? ']' : *at;

	if (at[0] == '-' && at[1] == '-')
		return at + strcspn(at, "\n");
	if (at[0] == '/' && at[1] == '*') {
		const char *end = strstr(at + 2, "*/");

		return end != NULL ? end + 2 : at + strlen(at);
	}
	if (close != '\'' && close != '"' && close != '`' && *at != '[')
		return at + 1;
	for (at++; *at != '\0'; at++) {
		if (*at != close)
			continue;
		if (close == ']' || at[1] != close)
			return at + 1;
		at++;
	}
	return at;
}

static bool is_literal(const char *at, const char *end, const char *text)
{
	size_t length = strlen(text);

	return *at == '\'' && (size_t)(end - at) == length + 2 && memcmp(at + 1, text, length) == 0;
}

struct widen_list {
	const char *begin; /* past its parenthesis */
	bool plain;        /* only literals, commas and space */
	bool added;
	int known;
};

struct wanted {
	const char *added, *known[8];
	int known_count;
};

/* Start of the list that holds all known values but not the new one; NULL: none. */
static const char *find_list(const char *sql, const struct wanted *wanted)
{
	struct widen_list list = {0};

	for (const char *at = sql, *end; *at != '\0'; at = end) {
		end = token_end(at);
		if (*at == '(') {
			list = (struct widen_list){.begin = end, .plain = true};
		} else if (*at == ')') {
			if (list.plain && list.known == wanted->known_count && !list.added)
				return list.begin;
			list.plain = false;
		} else if (*at == '\'') {
			for (int i = 0; i < wanted->known_count; i++)
				list.known += is_literal(at, end, wanted->known[i]);
			list.added |= is_literal(at, end, wanted->added);
		} else if (*at != ',' && !isspace((unsigned char)*at) && end == at + 1) {
			list.plain = false;
		}
	}
	return NULL;
}

static void widen_check(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	const char *sql = (const char *)sqlite3_value_text(arguments[0]), *at;
	struct wanted wanted = {.known_count = count - 2};
	bool whole = sql != NULL && count > 2 &&
		wanted.known_count <= (int)(sizeof wanted.known / sizeof wanted.known[0]);
	char *text;

	wanted.added = count > 1 ? (const char *)sqlite3_value_text(arguments[1]) : NULL;
	whole &= wanted.added != NULL;
	for (int i = 0; whole && i < wanted.known_count; i++)
		whole = (wanted.known[i] = (const char *)sqlite3_value_text(arguments[i + 2])) !=
			NULL;
	if (!whole) {
		sqlite3_result_error(
			context, "widen_check requires a text, a value and the known values", -1);
		return;
	}
	at = find_list(sql, &wanted);
	if (at == NULL) {
		sqlite3_result_value(context, arguments[0]);
		return;
	}
	text = sqlite3_mprintf("%.*s%Q, %s", (int)(at - sql), sql, wanted.added, at);
	if (text != NULL)
		sqlite3_result_text(context, text, -1, sqlite3_free);
	else
		sqlite3_result_error_nomem(context);
}

int widen_register(sqlite3 *db)
{
	return sqlite3_create_function(db, "widen_check", -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
		NULL, widen_check, NULL, NULL);
}
