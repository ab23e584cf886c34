/* An arena: memory that is freed all at once. Each call has one; decoding uses another as scratch.
 *
 * Thread: one at a time. Ownership: the arena owns all allocations. `wipe` arenas zero their memory
 * on reset and free, because passwords and tokens pass through them. */
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
/* Copies n bytes and appends a NUL; NULL when out of memory. */
char *arena_copy(struct arena *arena, const void *bytes, size_t n);
/* Releases everything, keeps the first block (up to 16 KiB) for reuse. */
void arena_reset(struct arena *arena);
/* Frees everything; safe on a zeroed struct. */
void arena_free(struct arena *arena);

#endif
