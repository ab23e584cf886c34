#include "buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool buffer_grow(struct buffer *buffer, size_t n)
{
	size_t capacity = buffer->capacity != 0 ? buffer->capacity : 256;
	char *data;

	if (buffer->failure != BUFFER_OK)
		return false;
	if (n > SIZE_MAX / 2 - buffer->length ||
		(buffer->cap != 0 && n > buffer->cap - buffer->length)) {
		buffer->failure = BUFFER_OVER_CAP;
		return false;
	}
	while (capacity < buffer->length + n)
		capacity *= 2;
	if (capacity == buffer->capacity)
		return true;
	data = malloc(capacity); /* not realloc: the old bytes are wiped */
	if (data == NULL) {
		buffer->failure = BUFFER_NO_MEMORY;
		return false;
	}
	if (buffer->data != NULL) {
		memcpy(data, buffer->data, buffer->length);
		explicit_bzero(buffer->data, buffer->length);
		free(buffer->data);
	}
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

void buffer_free(struct buffer *buffer)
{
	size_t cap = buffer->cap;

	free(buffer->data);
	*buffer = (struct buffer){.cap = cap};
}

void buffer_wipe(struct buffer *buffer)
{
	if (buffer->data != NULL)
		explicit_bzero(buffer->data, buffer->capacity);
	buffer->length = 0;
	buffer->failure = BUFFER_OK;
}
