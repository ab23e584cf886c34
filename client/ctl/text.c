/* Files, numbers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "text.h"
#include "ctl.h"

enum { READ_STEP = 65536 };

static bool stdin_is_reserved;

void text_reserve_stdin(void)
{
	stdin_is_reserved = true;
}

char *text_of_file(const char *path, size_t *length)
{
	bool from_stdin = strcmp(path, "-") == 0, failed;
	FILE *file;
	char *text = NULL;
	size_t used = 0;

	if (from_stdin && stdin_is_reserved) {
		(void)output_fail(EX_NOINPUT, "standard input holds the commands: name a file");
		return NULL;
	}
	file = from_stdin ? stdin : fopen(path, "re");
	failed = file == NULL;

	while (!failed) {
		char *larger = realloc(text, used + READ_STEP + 1);
		size_t got;

		if (larger == NULL) {
			failed = true;
			errno = ENOMEM;
			break;
		}
		text = larger;
		got = fread(text + used, 1, READ_STEP, file);
		used += got;
		if (got < READ_STEP) {
			failed = ferror(file) != 0;
			break;
		}
	}
	if (failed) {
		(void)output_fail(EX_NOINPUT, "%s: %s", path, strerror(errno));
		free(text);
		text = NULL;
	} else {
		text[used] = '\0';
		*length = used;
	}
	if (file != NULL && file != stdin)
		(void)fclose(file);
	return text;
}

bool text_to_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;
	unsigned long long value;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || value < min || value > max)
		return false;
	*out = value;
	return true;
}
