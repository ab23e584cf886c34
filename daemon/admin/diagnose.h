/* daemon.diagnose: what commonly goes wrong around a daemon, seen from inside. Thread: the loop
 * thread. */
#ifndef PIERRE_DIAGNOSE_H
#define PIERRE_DIAGNOSE_H

#include "../calls/own_method.h"

int diagnose_daemon(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err);

#endif
