/* A growing byte buffer with a size limit and a sticky failure. Appends after a failure do nothing;
 * writers check once at the end. Thread: one at a time. A zeroed struct is an empty buffer without
 * a limit. */
#ifndef PIERRE_BUFFER_H
#define PIERRE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum buffer_failure { BUFFER_OK = 0, BUFFER_OVER_CAP, BUFFER_NO_MEMORY };

struct buffer {
	char *data;
	size_t length, capacity;
	size_t cap; /* max bytes; 0 = unlimited */
	enum buffer_failure failure;
};

/* Makes room for n more bytes; on failure sets the sticky failure and returns false. */
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

/* Appends the contents of another buffer, including its failure: a partial text must not appear
 * complete. */
static inline void buffer_join(struct buffer *buffer, const struct buffer *piece)
{
	buffer_append(buffer, piece->data, piece->length);
	if (buffer->failure == BUFFER_OK)
		buffer->failure = piece->failure;
}

/* Truncates and clears a failure, which discards a partial result for an error answer. */
static inline void buffer_cut(struct buffer *buffer, size_t length)
{
	buffer->length = length;
	buffer->failure = BUFFER_OK;
}

#endif
