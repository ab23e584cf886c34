#include "frame.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 16384, READ_MIN = 4096 };

void frame_init(struct frame *frame, size_t limit)
{
	*frame = (struct frame){.limit = limit};
}

void frame_free(struct frame *frame)
{
	size_t limit = frame->limit;

	if (frame->data != NULL)
		explicit_bzero(frame->data, frame->capacity);
	free(frame->data);
	*frame = (struct frame){.limit = limit, .skipping = frame->skipping, .ended = frame->ended};
}

/* Makes the free space contiguous, too. */
void frame_wipe_taken(struct frame *frame)
{
	size_t left = frame->end - frame->start;

	if (frame->start == 0)
		return;
	memmove(frame->data, frame->data + frame->start, left);
	explicit_bzero(frame->data + left, frame->end - left);
	frame->scanned -= frame->start;
	frame->start = 0;
	frame->end = left;
}

char *frame_space(struct frame *frame, size_t *size)
{
	if (frame->start == frame->end)
		frame->start = frame->scanned = frame->end = 0;
	if (frame->capacity - frame->end < READ_MIN) {
		frame_wipe_taken(frame);
		if (frame->capacity - frame->end < READ_MIN) {
			size_t capacity = frame->capacity == 0 ? CHUNK : frame->capacity * 2;
			char *data = malloc(capacity); /* not realloc: the old bytes are wiped */

			if (data == NULL)
				return NULL;
			if (frame->data != NULL) {
				memcpy(data, frame->data, frame->end);
				explicit_bzero(frame->data, frame->capacity);
				free(frame->data);
			}
			frame->data = data;
			frame->capacity = capacity;
		}
	}
	*size = frame->capacity - frame->end;
	return frame->data + frame->end;
}

void frame_commit(struct frame *frame, size_t read)
{
	frame->end += read;
}

void frame_end(struct frame *frame)
{
	frame->ended = true;
}

static bool frame_blank(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
			return false;
	return true;
}

/* Ends skipping at the newline; false when more bytes are needed. */
static bool skip_rest(struct frame *frame)
{
	char *newline = frame->end > frame->start
		? memchr(frame->data + frame->start, '\n', frame->end - frame->start)
		: NULL;

	if (newline == NULL) {
		frame->start = frame->scanned = frame->end;
		if (frame->ended)
			frame->skipping = false;
		return false;
	}
	frame->start = frame->scanned = (size_t)(newline - frame->data) + 1;
	frame->skipping = false;
	return true;
}

enum frame_result frame_next(struct frame *frame, const char **line, size_t *length)
{
	for (;;) {
		if (frame->skipping && !skip_rest(frame))
			return FRAME_MORE;
		size_t left = frame->end - frame->scanned;
		char *newline = left > 0 ? memchr(frame->data + frame->scanned, '\n', left) : NULL;
		size_t line_length;

		if (newline == NULL && !(frame->ended && frame->end > frame->start)) {
			frame->scanned = frame->end;
			if (frame->end - frame->start <= frame->limit + 1)
				return FRAME_MORE;
			frame->skipping = true;
			return FRAME_TOO_LONG;
		}
		*line = frame->data + frame->start;
		line_length =
			newline != NULL ? (size_t)(newline - *line) : frame->end - frame->start;
		frame->start = frame->scanned =
			newline != NULL ? (size_t)(newline - frame->data) + 1 : frame->end;
		if (line_length > 0 && (*line)[line_length - 1] == '\r')
			line_length--;
		if (line_length > frame->limit)
			return FRAME_TOO_LONG;
		if (frame_blank(*line, line_length))
			continue;
		*length = line_length;
		return FRAME_LINE;
	}
}

bool frame_partial(const struct frame *frame)
{
	return frame->skipping || frame->end > frame->start;
}
