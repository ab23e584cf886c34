/* Calls with an idempotency key: the answer is stored with the write, and given again when the key
 * comes again. Thread: the writer's. */
#ifndef PIERRE_SQLITE_REPLAY_H
#define PIERRE_SQLITE_REPLAY_H

#include "../session.h"
#include "worker.h"

/* As session_run, within the caller's transaction. RUN_INTERRUPTED after the call has changed rows
 * ends the transaction. */
enum run_result replay_run(struct session *session, struct call *call);
/* When due: removes some of the oldest keys whose time is over, within the open transaction. */
void replay_forget(struct worker *writer);
/* Whether that is due and finds something. */
bool replay_forgets(struct worker *writer);

#endif
