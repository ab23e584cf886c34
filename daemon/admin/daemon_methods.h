/* The methods that the daemon answers itself: daemon.* and rpc.discover. Thread: the loop thread.
 */
#ifndef PIERRE_DAEMON_METHODS_H
#define PIERRE_DAEMON_METHODS_H

#include "../calls/own_method.h"

/* The table of all of them, by a method's index. */
const struct own_method *daemon_methods_init(void);

#endif
