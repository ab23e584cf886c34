/* libFuzzer: a byte stream gives the same lines however it is split. The first two bytes select
 * the limit and the splits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct lines {
	char *text;
	size_t length;
};

static void note(struct lines *lines, const char *text, size_t length)
{
	char *longer = realloc(lines->text, lines->length + length + 1);

	if (longer == NULL)
		abort();
	lines->text = longer;
	memcpy(longer + lines->length, text, length);
	lines->length += length;
	longer[lines->length++] = '\n';
}

static void take(struct frame *frame, struct lines *lines, size_t limit)
{
	enum frame_result result;
	const char *line;
	size_t length;

	while ((result = frame_next(frame, &line, &length)) != FRAME_MORE) {
		if (result == FRAME_LINE && (length > limit || memchr(line, '\n', length) != NULL))
			abort();
		note(lines, result == FRAME_LINE ? line : "!", result == FRAME_LINE ? length : 1);
	}
}

/* step 0: all at once. */
static struct lines run(const char *bytes, size_t size, size_t limit, size_t step)
{
	struct lines lines = {0};
	struct frame frame;

	frame_init(&frame, limit);
	for (size_t at = 0; at < size;) {
		size_t room, piece = step == 0 ? size : 1 + (at * 7 + step) % step;
		char *space = frame_space(&frame, &room);

		if (space == NULL)
			abort();
		if (piece > size - at)
			piece = size - at;
		if (piece > room)
			piece = room;
		memcpy(space, bytes + at, piece);
		frame_commit(&frame, piece);
		at += piece;
		take(&frame, &lines, limit);
	}
	frame_end(&frame);
	take(&frame, &lines, limit);
	if (frame_partial(&frame))
		abort();
	frame_free(&frame);
	return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lines whole, cut;

	if (size < 2)
		return 0;
	whole = run((const char *)data + 2, size - 2, 1 + data[0], 0);
	cut = run((const char *)data + 2, size - 2, 1 + data[0], 1 + data[1]);
	if (whole.length != cut.length ||
		(whole.length > 0 && memcmp(whole.text, cut.text, whole.length) != 0))
		abort();
	free(whole.text);
	free(cut.text);
	return 0;
}
