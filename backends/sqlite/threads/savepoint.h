/* Runs a call within a batch of the writer, or on a reader; a transaction's calls within a
 * savepoint. Thread: the session's. */
#ifndef PIERRE_SQLITE_SAVEPOINT_H
#define PIERRE_SQLITE_SAVEPOINT_H

#include "../session.h"

/* Within the caller's transaction, as session_run. A failure undoes what a transaction's calls
 * changed, and nothing else of the caller's transaction; where that fails, that transaction ends.
 */
enum run_result savepoint_run(struct session *session, struct call *call);

#endif
