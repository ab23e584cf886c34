/* The answers that a connection has not sent yet.
 *
 * Small answers are gathered in one buffer; large ones keep the buffer they were written into. Each
 * is a whole line, and a line that was begun is finished before another one starts. Thread: the
 * loop thread. */
#ifndef PIERRE_OUTPUT_H
#define PIERRE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "../../protocol/buffer.h"
#include "../../protocol/list.h"

enum {
	OUTPUT_LARGE = 32 * 1024,
	OUTPUT_SHARE = 256 * 1024,
	OUTPUT_SPARES = 128,
	OUTPUT_SPARE_BYTES = 64 * 1024
};

/* Buffers that idle connections returned: a connection without unsent answers holds none. */
struct output_spares {
	struct buffer buffers[OUTPUT_SPARES];
	unsigned count;
};

struct output {
	struct buffer text;
	size_t sent; /* of text */
	struct list large;
	size_t large_sent;  /* of the first large one */
	size_t large_bytes; /* of all large ones, the sent part included */
	size_t large_held;  /* memory of all large ones */
};

enum output_result { OUTPUT_DONE, OUTPUT_BLOCKED, OUTPUT_FAILED };

void output_init(struct output *output);
void output_free(struct output *output); /* wipes */
/* The buffer to append whole lines to, newline included. Its failure is seen by output_write. */
struct buffer *output_text(struct output *output, struct output_spares *spares);
/* Takes one line, newline included: copies it, or takes the buffer away when it is large. */
void output_add(struct output *output, struct output_spares *spares, struct buffer *line);
/* Sends what the peer takes without waiting, one share at most: a fast one is BLOCKED then, too, so
 * that others are served between. *sent: bytes that it took. */
enum output_result output_write(
	struct output *output, struct output_spares *spares, int fd, size_t *sent);
void output_spares_free(struct output_spares *spares);

/* Bytes of memory. */
static inline size_t output_held(const struct output *output)
{
	return output->text.capacity + output->large_held;
}

static inline size_t output_pending(const struct output *output)
{
	return output->text.length - output->sent + output->large_bytes - output->large_sent;
}

#endif
