/* Memory for reading that idle connections have returned: a connection without input holds none.
 * Thread: the loop thread. */
#ifndef PIERRE_FRAME_SPARES_H
#define PIERRE_FRAME_SPARES_H

#include <stddef.h>

#include "../../protocol/wire/frame.h"

enum { FRAME_SPARES_MAX = 8, FRAME_SPARES_BYTES = 32 * 1024 };

struct frame_spares {
	char *frames[FRAME_SPARES_MAX]; /* of FRAME_SPARES_BYTES */
	unsigned count;
};

/* Gives an empty frame memory; it has none afterwards when out of memory. */
void frame_spares_take(struct frame_spares *spares, struct frame *frame);
/* Takes the memory of a frame without input. used: bytes that have held any, which are wiped. */
void frame_spares_return(struct frame_spares *spares, struct frame *frame, size_t used);
void frame_spares_free(struct frame_spares *spares);

#endif
