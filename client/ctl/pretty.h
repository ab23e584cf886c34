/* JSON for people: one member or item a line, in colours where the terminal shows them. */
#ifndef PIERRE_CTL_PRETTY_H
#define PIERRE_CTL_PRETTY_H

#include "ctl.h"

/* json: valid and compact. Numbers are copied unchanged, and so are strings, except that the
 * characters that control a terminal are escaped. Ends with a newline. */
void pretty_print(const struct ctl *ctl, const char *json);

#endif
