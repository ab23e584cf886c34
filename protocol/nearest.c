#include "nearest.h"

#include <stddef.h>
#include <string.h>

enum { LONGEST_COMPARED = 64 };

static unsigned min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned distance(const char *a, const char *b)
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
			row[j] = min(above[j - 1] + (a[i - 1] != b[j - 1]),
				min(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[a_length % 3][b_length];
}

void nearest_offer(struct nearest *nearest, const char *name)
{
	unsigned found;

	if (name == NULL)
		return;
	found = distance(nearest->wanted, name);
	if (nearest->name == NULL || found < nearest->distance) {
		nearest->name = name;
		nearest->distance = found;
	}
}

const char *nearest_name(const struct nearest *nearest)
{
	size_t length = strlen(nearest->wanted);

	return nearest->name != NULL && nearest->distance <= 1 + length / 4 &&
			nearest->distance < length
		? nearest->name
		: NULL;
}
