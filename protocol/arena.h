/* An arena: memory that is freed all at once. One per call; also used for decoding scratch.
 *
 * Thread: one thread at a time. Ownership: everything allocated belongs to the arena. `wipe` arenas
 * zero their memory on reset and free, because passwords and tokens pass through them. */
#ifndef PIERRE_ARENA_H
#define PIERRE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *first, *current;
	size_t total; /* bytes held in blocks */
	bool wipe;
};

void arena_init(struct arena *arena);
/* 8-byte aligned, not zeroed; NULL when out of memory. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((malloc));
void *arena_calloc(struct arena *arena, size_t count, size_t size);
/* Copy of n bytes with a NUL behind; NULL when out of memory. */
char *arena_copy(struct arena *arena, const void *bytes, size_t n);
/* Forgets everything, keeps the first block (up to 16 KiB) for reuse. */
void arena_reset(struct arena *arena);
/* Frees everything; safe on a zeroed struct. */
void arena_free(struct arena *arena);

#endif
