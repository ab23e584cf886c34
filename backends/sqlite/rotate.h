/* Key rotation on the writer's thread. */
#ifndef PIERRE_SQLITE_ROTATE_H
#define PIERRE_SQLITE_ROTATE_H

#include "session.h"

struct worker;

/* Runs one step in its own transaction. RUN_BROKEN: storage failed, as after any failed write. */
enum run_result rotate_run(struct worker *writer, struct call *call);

#endif
