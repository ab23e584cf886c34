/* Ids and the numbers that replace them. */
#ifndef PIERRE_TRANSFER_REFS_H
#define PIERRE_TRANSFER_REFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct refs {
	struct ref *binds;
	size_t size, count;
};

bool refs_add(struct refs *refs, const char *id, size_t length, int64_t number);
int64_t refs_find(const struct refs *refs, const char *id, size_t length); /* 0: none */
void refs_free(struct refs *refs);

#endif
