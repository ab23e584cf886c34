#include "rotate.h"

#include "../../protocol/value.h"
#include "../execute.h"
#include "../secrets/rotation.h"
#include "../secrets/seal_log.h"
#include "condition.h"
#include "keys.h"
#include "sqlite_store.h"
#include "threads/worker.h"

/* Waits for another program's lock for as long as the call has time. */
static int rotate_begin(struct worker *writer, const struct call *call)
{
	int code;

	do {
		code = session_step(writer->session.begin);
		atomic_store_explicit(&writer->moved, clock_ns(), memory_order_relaxed);
	} while ((code & 0xFF) == SQLITE_BUSY &&
		(call->deadline == 0 || clock_ns() < call->deadline) &&
		!atomic_load(&writer->store->ending));
	return code;
}

enum run_result rotate_run(struct worker *writer, struct call *call)
{
	struct sqlite_store *store = writer->store;
	struct rotation next = store->rotation;
	enum binding_format format = seal_format(store->settings.seal);
	uint64_t stored = 0, added;
	struct err err = {0};
	int code = rotate_begin(writer, call);

	if (code != SQLITE_OK && atomic_load(&store->ending)) {
		worker_given_up(call);
		return RUN_DONE;
	}
	if ((code & 0xFF) == SQLITE_BUSY) {
		worker_timed_out(store, call);
		return RUN_DONE;
	}
	if (code == SQLITE_OK &&
		keys_step(&writer->session, &next, call->values[0].i != 0, &format, &err) < 0) {
		code = sqlite3_errcode(writer->session.db);
		if (sqlite3_get_autocommit(writer->session.db) == 0)
			(void)session_step(writer->session.rollback);
		execute_fail(call, err.kind != ERR_NONE ? err.kind : ERR_STORAGE,
			"%s; nothing of the call was stored", err.message);
		call->err.outcome = OUTCOME_NONE;
		if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)
			return RUN_DONE; /* not a storage failure */
		condition_note_error(store, session_reason(code));
		return RUN_BROKEN;
	}
	added = code == SQLITE_OK ? keys_count(&writer->session, &stored) : 0;
	if (code == SQLITE_OK)
		code = session_step(writer->session.commit);
	if (added > 0)
		seal_log_counted(&store->settings, added, stored, code == SQLITE_OK);
	if (code != SQLITE_OK) {
		condition_note_error(store, session_reason(code));
		if (sqlite3_get_autocommit(writer->session.db) == 0)
			(void)session_step(writer->session.rollback);
		execute_fail(call, ERR_STORAGE, "%s; nothing of the call was stored",
			session_reason(code));
		call->err.outcome = OUTCOME_NONE;
		return RUN_BROKEN;
	}
	store->rotation = next;
	rotation_follow_format(&store->settings, format);
	rotation_tell(&next, &store->settings);
	rotation_describe(&next, store->settings.seal, &call->answer);
	call->rows = (uint32_t)next.resealed;
	return RUN_DONE;
}
