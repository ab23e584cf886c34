#include "frame_spares.h"

#include <stdlib.h>
#include <string.h>

void frame_spares_take(struct frame_spares *spares, struct frame *frame)
{
	frame->data =
		spares->count > 0 ? spares->frames[--spares->count] : malloc(FRAME_SPARES_BYTES);
	frame->capacity = frame->data != NULL ? FRAME_SPARES_BYTES : 0;
	frame->start = frame->scanned = frame->end = 0;
}

void frame_spares_return(struct frame_spares *spares, struct frame *frame, size_t used)
{
	if (frame->capacity != FRAME_SPARES_BYTES || spares->count == FRAME_SPARES_MAX) {
		frame_free(frame);
		return;
	}
	explicit_bzero(frame->data, used);
	spares->frames[spares->count++] = frame->data;
	frame->data = NULL;
	frame->capacity = frame->start = frame->scanned = frame->end = 0;
}

void frame_spares_free(struct frame_spares *spares)
{
	while (spares->count > 0)
		free(spares->frames[--spares->count]);
}
