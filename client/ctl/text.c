/* Files, numbers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "text.h"
#include "ctl.h"

enum { READ_STEP = 65536 };

char *text_of_file(const char *path, size_t *length)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *text = NULL;
	size_t used = 0;
	bool failed = file == NULL;

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
