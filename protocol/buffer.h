/* A growing byte buffer with a cap and a sticky failure: appends after a failure do nothing, so
 * that writers check once at the end. Thread: one at a time. Zeroed struct = empty buffer with no
 * cap. */
#ifndef PIERRE_BUFFER_H
#define PIERRE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum buffer_failure { BUFFER_OK = 0, BUFFER_OVER_CAP, BUFFER_NO_MEMORY };

struct buffer {
	char *data;
	size_t length, capacity;
	size_t cap; /* most bytes it may hold; 0 = no cap */
	enum buffer_failure failure;
};

/* Makes room for n more bytes; false (and sticky failure) when it cannot. */
bool buffer_grow(struct buffer *buffer, size_t n);
void buffer_free(struct buffer *buffer); /* frees and zeroes (keeps cap) */
void buffer_wipe(struct buffer *buffer); /* zeroes the bytes, keeps the memory, length 0 */

static inline bool buffer_reserve(struct buffer *buffer, size_t n)
{
	return (buffer->failure == BUFFER_OK && buffer->capacity - buffer->length >= n &&
		       (buffer->cap == 0 || buffer->cap - buffer->length >= n)) ||
		buffer_grow(buffer, n);
}

static inline void buffer_append(struct buffer *buffer, const void *bytes, size_t n)
{
	if (n != 0 && buffer_reserve(buffer, n)) {
		memcpy(buffer->data + buffer->length, bytes, n);
		buffer->length += n;
	}
}

static inline void buffer_byte(struct buffer *buffer, char byte)
{
	if (buffer_reserve(buffer, 1))
		buffer->data[buffer->length++] = byte;
}

/* Appends a NUL-terminated text (without the NUL). */
static inline void buffer_text(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

/* Appends what another buffer holds. Half of it must not pass for the whole: its failure becomes
 * this one's. */
static inline void buffer_join(struct buffer *buffer, const struct buffer *piece)
{
	buffer_append(buffer, piece->data, piece->length);
	if (buffer->failure == BUFFER_OK)
		buffer->failure = piece->failure;
}

/* Cuts back to a length and clears a failure: what an error answer does with a half-written result.
 */
static inline void buffer_cut(struct buffer *buffer, size_t length)
{
	buffer->length = length;
	buffer->failure = BUFFER_OK;
}

#endif
