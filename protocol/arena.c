#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK = 2048, KEPT_BLOCK = 16384 };

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	_Alignas(16) char data[];
};

void arena_init(struct arena *arena)
{
	*arena = (struct arena){0};
}

static struct arena_block *new_block(struct arena *arena, size_t size)
{
	size_t want = arena->total > FIRST_BLOCK ? arena->total : FIRST_BLOCK;
	struct arena_block *block;

	if (size > SIZE_MAX - sizeof *block)
		return NULL;
	if (want < size)
		want = size;
	block = malloc(sizeof *block + want);
	if (block == NULL)
		return NULL;
	block->next = NULL;
	block->used = 0;
	block->size = want;
	arena->total += want;
	if (arena->first == NULL)
		arena->first = block;
	else
		arena->current->next = block;
	arena->current = block;
	return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *block = arena->current;
	void *memory;

	if (size > SIZE_MAX - 7)
		return NULL;
	size = (size + 7) & ~(size_t)7;
	if (block == NULL || block->size - block->used < size)
		block = new_block(arena, size);
	if (block == NULL)
		return NULL;
	memory = block->data + block->used;
	block->used += size;
	return memory;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
	void *memory =
		size != 0 && count > SIZE_MAX / size ? NULL : arena_alloc(arena, count * size);

	return memory != NULL ? memset(memory, 0, count * size) : NULL;
}

char *arena_copy(struct arena *arena, const void *bytes, size_t n)
{
	char *copy = n < SIZE_MAX ? arena_alloc(arena, n + 1) : NULL;

	if (copy == NULL)
		return NULL;
	memcpy(copy, bytes, n);
	copy[n] = '\0';
	return copy;
}

static void arena_drop(struct arena *arena, struct arena_block *block)
{
	if (arena->wipe)
		explicit_bzero(block->data, block->used);
}

void arena_reset(struct arena *arena)
{
	struct arena_block *first = arena->first, *next;

	if (first == NULL)
		return;
	if (first->size > KEPT_BLOCK) {
		arena_free(arena);
		return;
	}
	for (struct arena_block *block = first->next; block != NULL; block = next) {
		next = block->next;
		arena_drop(arena, block);
		free(block);
	}
	arena_drop(arena, first);
	first->next = NULL;
	first->used = 0;
	arena->current = first;
	arena->total = first->size;
}

void arena_free(struct arena *arena)
{
	struct arena_block *next;

	for (struct arena_block *block = arena->first; block != NULL; block = next) {
		next = block->next;
		arena_drop(arena, block);
		free(block);
	}
	arena->first = arena->current = NULL;
	arena->total = 0;
}
