/* Lines that are no JSON text because the peer speaks another protocol or another framing.
 * Thread: no state. */
#ifndef PIERRE_FOREIGN_H
#define PIERRE_FOREIGN_H

#include <stddef.h>

/* What the line looks like and what is expected in its place; NULL when it looks like nothing
 * known. */
const char *foreign_explain(const char *line, size_t length);

#endif
