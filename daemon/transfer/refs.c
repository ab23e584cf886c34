#include "transfer.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct ref {
	char *id;
	size_t length;
	int64_t number;
};

/* The ids are the installation's own, so any key does. */
static size_t place_of(const struct refs *refs, const char *id, size_t length)
{
	static const unsigned char key[crypto_shorthash_KEYBYTES];
	unsigned char digest[crypto_shorthash_BYTES];
	uint64_t hash;
	size_t place;

	crypto_shorthash(digest, (const unsigned char *)id, length, key);
	memcpy(&hash, digest, sizeof hash);
	for (place = hash & (refs->size - 1); refs->slots[place].id != NULL; place = (place + 1) & (refs->size - 1))
		if (refs->slots[place].length == length && memcmp(refs->slots[place].id, id, length) == 0)
			break;
	return place;
}

static bool grow(struct refs *refs)
{
	struct refs bigger = {.size = refs->size == 0 ? 1024 : refs->size * 2};

	bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
	if (bigger.slots == NULL)
		return false;
	for (size_t i = 0; i < refs->size; i++)
		if (refs->slots[i].id != NULL)
			bigger.slots[place_of(&bigger, refs->slots[i].id, refs->slots[i].length)] = refs->slots[i];
	bigger.count = refs->count;
	free(refs->slots);
	*refs = bigger;
	return true;
}

bool refs_add(struct refs *refs, const char *id, size_t length, int64_t number)
{
	size_t place;

	if (refs->count * 2 >= refs->size && !grow(refs))
		return false;
	place = place_of(refs, id, length);
	refs->slots[place].id = malloc(length + 1);
	if (refs->slots[place].id == NULL)
		return false;
	memcpy(refs->slots[place].id, id, length);
	refs->slots[place].length = length;
	refs->slots[place].number = number;
	refs->count++;
	return true;
}

int64_t refs_find(const struct refs *refs, const char *id, size_t length)
{
	return refs->size == 0 ? 0 : refs->slots[place_of(refs, id, length)].number;
}

void refs_free(struct refs *refs)
{
	for (size_t i = 0; i < refs->size; i++)
		free(refs->slots[i].id);
	free(refs->slots);
	*refs = (struct refs){0};
}
