#include "error.h"

#include <stdio.h>
#include <string.h>

static const struct err_info infos[ERR_KIND_COUNT] = {
#define X(name, code, wire, retryable, meaning) [ERR_##name] = {code, wire, retryable, meaning},
	ERROR_KINDS(X)
#undef X
};

const struct err_info *err_info(enum err_kind kind)
{
	return &infos[kind];
}

/* Cuts a text that vsnprintf may have cut within a character back to whole characters. */
static void cut_utf8(char *text, size_t size)
{
	size_t length = strnlen(text, size - 1);
	size_t start = length;

	text[length] = '\0';
	while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
		start--;
	if (start == 0)
		return;
	unsigned char lead = (unsigned char)text[start - 1];
	size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
	if (length - (start - 1) < want)
		text[start - 1] = '\0';
}

static void __attribute__((format(printf, 4, 0)))
set(struct err *err, enum err_kind kind, const char *path, const char *format, va_list arguments)
{
	memset(err, 0, offsetof(struct err, message));
	err->kind = kind;
	err->path[0] = err->field[0] = '\0';
	(void)vsnprintf(err->message, sizeof err->message, format, arguments);
	cut_utf8(err->message, sizeof err->message);
	if (path != NULL) {
		(void)snprintf(err->path, sizeof err->path, "%s", path);
		cut_utf8(err->path, sizeof err->path);
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
