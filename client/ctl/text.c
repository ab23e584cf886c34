/* Names that were mistyped, files, numbers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

enum { LONGEST_COMPARED = 64, READ_STEP = 65536 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned text_distance(const char *a, const char *b)
{
	unsigned rows[3][LONGEST_COMPARED + 1];
	size_t a_length = strlen(a), b_length = strlen(b);

	if (a_length > LONGEST_COMPARED || b_length > LONGEST_COMPARED)
		return LONGEST_COMPARED;
	for (unsigned j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a_length; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];

		row[0] = i;
		for (unsigned j = 1; j <= b_length; j++) {
			row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[a_length % 3][b_length];
}

void nearest_offer(struct nearest *nearest, const char *name)
{
	unsigned distance = text_distance(nearest->wanted, name);

	if (nearest->name == NULL || distance < nearest->distance) {
		nearest->name = name;
		nearest->distance = distance;
	}
}

const char *nearest_name(const struct nearest *nearest)
{
	size_t length = strlen(nearest->wanted);

	return nearest->name != NULL && nearest->distance <= 1 + length / 4 && nearest->distance < length ? nearest->name : NULL;
}

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
		(void)ctl_fail(EX_NOINPUT, "%s: %s", path, strerror(errno));
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
