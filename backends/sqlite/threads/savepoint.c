#include "savepoint.h"

#include "../../execute.h"
#include "../../transaction.h"

static int savepoint_exec(struct session *session, const char *sql)
{
	return sqlite3_exec(session->db, sql, NULL, NULL, NULL);
}

static bool savepoint_lost(const struct session *session)
{
	return sqlite3_get_autocommit(session->db) != 0;
}

/* An error may have ended the whole transaction, and the savepoint with it. Without memory nothing
 * can be undone, not even the whole transaction: then it must not be committed, and only closing
 * the connection ends it. */
static enum run_result undo(struct session *session, enum run_result result)
{
	if (savepoint_lost(session) ||
		savepoint_exec(session, "ROLLBACK TO calls; RELEASE calls") == SQLITE_OK ||
		savepoint_lost(session))
		return result;
	(void)session_step(session->rollback);
	return savepoint_lost(session) ? result : RUN_BROKEN;
}

/* Stops at the first call that fails. */
static enum run_result run_members(struct session *session, struct call *call)
{
	for (unsigned i = 0; i < call->member_count; i++) {
		enum run_result result = session_run(session, &call->members[i]);

		/* An interrupted call has no error of its own: the transaction may run again. */
		if (result == RUN_INTERRUPTED || result == RUN_BUSY)
			return result;
		if (!transaction_goes_on(&call->members[i]) || result != RUN_DONE)
			return result;
	}
	(void)transaction_end(call);
	return RUN_DONE;
}

static enum run_result run_in_savepoint(struct session *session, struct call *call)
{
	bool writes = call->method->write;
	enum run_result result;

	if (writes && savepoint_exec(session, "SAVEPOINT calls") != SQLITE_OK) {
		execute_fail(call, ERR_INTERNAL, "out of memory; nothing of the call was stored");
		return RUN_DONE;
	}
	result = run_members(session, call);
	if (!writes)
		return result;
	if (result != RUN_DONE || call->err.kind != ERR_NONE)
		return undo(session, result);
	/* It fails without memory for the statement, too, and the transaction is still there. */
	if (savepoint_exec(session, "RELEASE calls") == SQLITE_OK)
		return RUN_DONE;
	execute_fail(call, ERR_INTERNAL, "out of memory; nothing of the call was stored");
	return undo(session, RUN_DONE);
}

enum run_result savepoint_run(struct session *session, struct call *call)
{
	return transaction_is(call) ? run_in_savepoint(session, call) : session_run(session, call);
}
