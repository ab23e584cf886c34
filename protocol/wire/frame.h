/* Lines out of a byte stream, with the cap. Pure: bytes in, lines out; the caller owns time and
 * sockets.
 *
 * Feed bytes with frame_space/frame_commit, then take lines with frame_next until it gives
 * FRAME_MORE. A line over the cap gives FRAME_TOO_LONG once, and the rest of it is dropped as it
 * comes. Thread: one at a time. */
#ifndef PIERRE_FRAME_H
#define PIERRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>

struct frame {
	char *data;
	size_t start, scanned, end, capacity;
	size_t limit;  /* most bytes of a line, its newline not counted */
	bool skipping; /* dropping the rest of a line over the limit */
	bool ended;    /* no more bytes will come: the last line needs no newline */
};

enum frame_result { FRAME_LINE, FRAME_MORE, FRAME_TOO_LONG };

void frame_init(struct frame *frame, size_t limit);
void frame_free(struct frame *frame); /* wipes: lines hold secrets */
/* Room to read into: at least 1 byte, NULL when out of memory. The pointer is valid until the next
 * frame_ call. */
char *frame_space(struct frame *frame, size_t *size);
void frame_commit(struct frame *frame, size_t read);
void frame_end(struct frame *frame);
/* FRAME_LINE: *line, *length without \n and \r\n; valid until the next frame_space. Empty and
 * white-space lines are passed over. */
enum frame_result frame_next(struct frame *frame, const char **line, size_t *length);
/* A line has begun and not ended (also while skipping): what the 30 s limit watches. */
bool frame_partial(const struct frame *frame);

#endif
