#include "refs.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct ref {
	char *id;
	size_t length;
	int64_t number;
};

/* The ids come from the installation itself, so any hash key is safe. */
static size_t refs_place_of(const struct refs *refs, const char *id, size_t length)
{
	static const unsigned char key[crypto_shorthash_KEYBYTES];
	unsigned char digest[crypto_shorthash_BYTES];
	uint64_t hash;
	size_t place;

	crypto_shorthash(digest, (const unsigned char *)id, length, key);
	memcpy(&hash, digest, sizeof hash);
	for (place = hash & (refs->size - 1); refs->binds[place].id != NULL;
		place = (place + 1) & (refs->size - 1))
		if (refs->binds[place].length == length &&
			memcmp(refs->binds[place].id, id, length) == 0)
			break;
	return place;
}

static bool refs_grow(struct refs *refs)
{
	struct refs bigger = {.size = refs->size == 0 ? 1024 : refs->size * 2};

	bigger.binds = calloc(bigger.size, sizeof *bigger.binds);
	if (bigger.binds == NULL)
		return false;
	for (size_t i = 0; i < refs->size; i++)
		if (refs->binds[i].id != NULL)
			bigger.binds[refs_place_of(&bigger, refs->binds[i].id,
				refs->binds[i].length)] = refs->binds[i];
	bigger.count = refs->count;
	free(refs->binds);
	*refs = bigger;
	return true;
}

bool refs_add(struct refs *refs, const char *id, size_t length, int64_t number)
{
	size_t place;

	if (refs->count * 2 >= refs->size && !refs_grow(refs))
		return false;
	place = refs_place_of(refs, id, length);
	refs->binds[place].id = malloc(length + 1);
	if (refs->binds[place].id == NULL)
		return false;
	memcpy(refs->binds[place].id, id, length);
	refs->binds[place].length = length;
	refs->binds[place].number = number;
	refs->count++;
	return true;
}

int64_t refs_find(const struct refs *refs, const char *id, size_t length)
{
	return refs->size == 0 ? 0 : refs->binds[refs_place_of(refs, id, length)].number;
}

void refs_free(struct refs *refs)
{
	for (size_t i = 0; i < refs->size; i++)
		free(refs->binds[i].id);
	free(refs->binds);
	*refs = (struct refs){0};
}
