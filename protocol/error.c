#include "error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "value.h"

static const struct err_info infos[ERR_KIND_COUNT] = {
#define X(name, code, wire, retryable, meaning) [ERR_##name] = {code, wire, retryable, meaning},
	ERROR_KINDS(X)
#undef X
};

const struct err_info *err_info(enum err_kind kind)
{
	return &infos[kind];
}

static const char *const outcome_words[] = {
#define X(name, word) [OUTCOME_##name] = word,
	ERROR_OUTCOMES(X)
#undef X
};
enum { OUTCOME_COUNT = sizeof outcome_words / sizeof *outcome_words };

void err_ref_format(uint64_t ref, char out[ERR_REF_DIGITS + 1])
{
	(void)snprintf(out, ERR_REF_DIGITS + 1, "%016llx", (unsigned long long)ref);
}

uint64_t err_ref_parse(const char *text)
{
	if (strlen(text) != ERR_REF_DIGITS || strspn(text, "0123456789abcdef") != ERR_REF_DIGITS)
		return 0;
	return strtoull(text, NULL, 16);
}

const char *err_outcome_word(enum err_outcome outcome)
{
	return (unsigned)outcome < OUTCOME_COUNT ? outcome_words[outcome] : NULL;
}

enum err_outcome err_outcome_parse(const char *word)
{
	for (int i = OUTCOME_UNSET + 1; i < OUTCOME_COUNT; i++)
		if (strcmp(outcome_words[i], word) == 0)
			return (enum err_outcome)i;
	return OUTCOME_UNSET;
}

/* Omits incomplete characters: the array's end, or the caller, may have cut the text. */
static void keep_characters(char *text)
{
	char *to = text;

	for (const char *from = text, *end = text + strlen(text); from < end;) {
		size_t length = utf8_character(from, (size_t)(end - from));

		memmove(to, from, length);
		to += length;
		from += length != 0 ? length : 1;
	}
	*to = '\0';
}

static void __attribute__((format(printf, 4, 0)))
set(struct err *err, enum err_kind kind, const char *path, const char *format, va_list arguments)
{
	memset(err, 0, offsetof(struct err, message));
	err->kind = kind;
	err->path[0] = err->field[0] = '\0';
	(void)vsnprintf(err->message, sizeof err->message, format, arguments);
	keep_characters(err->message);
	if (path != NULL) {
		(void)snprintf(err->path, sizeof err->path, "%s", path);
		keep_characters(err->path);
	}
}

int err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
	va_list arguments;

	if (err != NULL) {
		va_start(arguments, format);
		set(err, kind, NULL, format, arguments);
		va_end(arguments);
	}
	return -1;
}

int err_set_path(struct err *err, enum err_kind kind, const char *path, const char *format, ...)
{
	va_list arguments;

	if (err != NULL) {
		va_start(arguments, format);
		set(err, kind, path, format, arguments);
		va_end(arguments);
	}
	return -1;
}

int err_exit(struct err *err, int exit_code, const char *format, ...)
{
	va_list arguments;

	if (err != NULL) {
		va_start(arguments, format);
		set(err, ERR_UNAVAILABLE, NULL, format, arguments);
		va_end(arguments);
		err->exit_code = exit_code;
	}
	return -1;
}
