/* Splits a byte stream into lines, with a size limit. Pure: bytes in, lines out; the caller handles
 * time and sockets.
 *
 * Feed bytes with frame_space/frame_commit, then read lines with frame_next until it returns
 * FRAME_MORE. A line over the limit returns FRAME_TOO_LONG once, and its remaining bytes are
 * dropped. Thread: one at a time. */
#ifndef PIERRE_FRAME_H
#define PIERRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>

struct frame {
	char *data;
	size_t start, scanned, end, capacity;
	size_t limit;  /* max bytes of a line without its newline */
	bool skipping; /* dropping the rest of a line over the limit */
	bool ended;    /* end of input: the last line needs no newline */
};

enum frame_result { FRAME_LINE, FRAME_MORE, FRAME_TOO_LONG };

void frame_init(struct frame *frame, size_t limit);
void frame_free(struct frame *frame); /* wipes: lines hold secrets */
/* Space to read into: at least 1 byte, NULL when out of memory. The pointer is valid until the next
 * frame_ call. */
char *frame_space(struct frame *frame, size_t *size);
void frame_commit(struct frame *frame, size_t read);
void frame_end(struct frame *frame);
/* Wipes the lines that were taken, and moves the bytes behind them to the front. */
void frame_wipe_taken(struct frame *frame);
/* FRAME_LINE: *line, *length without \n and \r\n; valid until the next frame_space. Skips empty and
 * white-space lines. */
enum frame_result frame_next(struct frame *frame, const char **line, size_t *length);
/* A line has begun and not ended (also while skipping); the 30 s limit applies. */
bool frame_partial(const struct frame *frame);

#endif
