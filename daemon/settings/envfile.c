#include "envfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sysexits.h>
#include <unistd.h>

enum { ENVFILE_MAX_BYTES = 1024 * 1024 };

static bool envfile_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool key_byte(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		c == '_' || c == '.' || c == '-';
}

struct envfile_reader {
	char *at;
	unsigned line;
	const char *name;
};

static void skip_blanks(struct envfile_reader *in)
{
	while (envfile_blank(*in->at))
		in->at++;
}

/* To the newline or the end, not past it. */
static void skip_line(struct envfile_reader *in)
{
	in->at += strcspn(in->at, "\n");
}

/* The byte for an escape; -1 when the backslash is literal. */
static int unescape(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case '"':
	case '\\':
	case '$':
		return c;
	default:
		return -1;
	}
}

/* Unquotes in place; NULL for an unclosed quote. */
static char *read_quoted(struct envfile_reader *in)
{
	char quote = *in->at, *start = in->at + 1, *to = start;

	for (in->at = start; *in->at != quote; in->at++) {
		if (*in->at == '\0')
			return NULL;
		in->line += *in->at == '\n';
		if (quote == '"' && *in->at == '\\' && unescape(in->at[1]) >= 0)
			*to++ = (char)unescape(*++in->at);
		else
			*to++ = *in->at;
	}
	in->at++;
	*to = '\0';
	return start;
}

/* Up to the end of the line or a ` #`; blanks at the end are dropped. */
static char *read_plain(struct envfile_reader *in)
{
	char *start = in->at, *end = start;

	while (*end != '\0' && *end != '\n' &&
		!(*end == '#' && (end == start || envfile_blank(end[-1]))))
		end++;
	in->at = end;
	skip_line(in);
	while (end > start && envfile_blank(end[-1]))
		end--;
	if (*in->at == '\n') { /* may be the byte that receives the terminating NUL */
		in->at++;
		in->line++;
	}
	*end = '\0';
	return start;
}

static int envfile_add(struct envfile *file, const char *key, const char *value, struct err *err)
{
	struct envfile_entry *grown = reallocarray(file->entries, file->count + 1, sizeof *grown);

	if (grown == NULL)
		return err_exit(err, EX_OSERR, "out of memory");
	file->entries = grown;
	grown[file->count++] = (struct envfile_entry){key, value};
	return 0;
}

/* A line that is neither empty nor a comment. */
static int envfile_read_entry(struct envfile *file, struct envfile_reader *in, struct err *err)
{
	char *key, *key_end, *value;

	if (strncmp(in->at, "export", 6) == 0 && envfile_blank(in->at[6])) {
		in->at += 6;
		skip_blanks(in);
	}
	key = in->at;
	while (key_byte(*in->at))
		in->at++;
	key_end = in->at;
	skip_blanks(in);
	if (key_end == key || *in->at != '=')
		return err_exit(
			err, EX_CONFIG, "%s, line %u: expected KEY=VALUE", in->name, in->line);
	in->at++;
	skip_blanks(in);
	if (*in->at == '"' || *in->at == '\'') {
		unsigned line = in->line;

		value = read_quoted(in);
		if (value == NULL)
			return err_exit(err, EX_CONFIG, "%s, line %u: the quote is not closed",
				in->name, line);
		skip_blanks(in);
		if (*in->at == '#')
			skip_line(in);
		if (*in->at != '\0' && *in->at != '\n')
			return err_exit(err, EX_CONFIG,
				"%s, line %u: something follows the closing quote", in->name,
				in->line);
	} else {
		value = read_plain(in);
	}
	*key_end = '\0';
	return envfile_add(file, key, value, err);
}

int envfile_parse(struct envfile *file, char *text, size_t size, const char *name, struct err *err)
{
	struct envfile_reader in = {text, 1, name};

	*file = (struct envfile){.text = text, .size = size};
	text[size] = '\0';
	if (size >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0))
		return err_exit(err, EX_CONFIG, "%s is UTF-16: save it as UTF-8", name);
	if (memchr(text, '\0', size) != NULL)
		return err_exit(err, EX_CONFIG, "%s holds a NUL byte", name);
	if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		in.at += 3; /* a byte order mark from some editors */
	for (;;) {
		skip_blanks(&in);
		if (*in.at == '\0')
			return 0;
		if (*in.at == '\n') {
			in.at++;
			in.line++;
		} else if (*in.at == '#') {
			skip_line(&in);
		} else if (envfile_read_entry(file, &in, err) < 0) {
			return -1;
		}
	}
}

static int envfile_read_all(int fd, char *text, size_t size, size_t *length)
{
	*length = 0;
	while (*length < size) {
		ssize_t n = read(fd, text + *length, size - *length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		*length += (size_t)n;
	}
	return 0;
}

/* `--env-file /dev/null` disables the file. */
static bool is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

int envfile_read(struct envfile *file, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char *text;
	size_t size;

	*file = (struct envfile){0};
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 1;
	if (fd < 0 || fstat(fd, &st) != 0) {
		(void)err_exit(err, EX_CONFIG, "cannot read %s: %s", path, strerror(errno));
		goto fail;
	}
	if ((!S_ISREG(st.st_mode) && !is_null(&st)) || st.st_size > ENVFILE_MAX_BYTES) {
		(void)err_exit(err, EX_CONFIG, "%s is not a file of at most 1 MiB", path);
		goto fail;
	}
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	if (text == NULL) {
		(void)err_exit(err, EX_OSERR, "out of memory");
		goto fail;
	}
	if (envfile_read_all(fd, text, size, &size) != 0) {
		(void)err_exit(err, EX_CONFIG, "cannot read %s: %s", path, strerror(errno));
		free(text);
		goto fail;
	}
	(void)close(fd);
	if (envfile_parse(file, text, size, path, err) < 0)
		return -1;
	file->readable_by_others = (st.st_mode & (S_IRGRP | S_IROTH)) != 0;
	return 0;
fail:
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

const char *envfile_get(const struct envfile *file, const char *key)
{
	for (size_t i = file->count; i > 0; i--)
		if (strcmp(file->entries[i - 1].key, key) == 0)
			return file->entries[i - 1].value;
	return NULL;
}

void envfile_free(struct envfile *file)
{
	if (file->text != NULL)
		explicit_bzero(file->text, file->size);
	free(file->text);
	free(file->entries);
	*file = (struct envfile){0};
}
