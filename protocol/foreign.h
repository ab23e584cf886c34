/* Recognises lines that are not JSON because the peer uses another protocol or framing. Thread: no
 * state. */
#ifndef PIERRE_FOREIGN_H
#define PIERRE_FOREIGN_H

#include <stddef.h>

/* What the line looks like and what to send instead; NULL when it is not recognised. */
const char *foreign_explain(const char *line, size_t length);

#endif
