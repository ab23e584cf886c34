#include "replay.h"

#include "../../../protocol/value.h"
#include "../../execute.h"
#include "../../idempotency.h"
#include "../../transaction.h"
#include "../sqlite_store.h"
#include "savepoint.h"

/* Keys that one step removes, and the pause after a step that found fewer. */
enum { FORGET_MAX = 256 };
static const uint64_t forget_ns = UINT64_C(60000000000);
static const int64_t kept_us = IDEMPOTENCY_HOURS * INT64_C(3600000000);

static const char find_sql[] = "SELECT method, digest, answer FROM idempotency_keys "
			       "WHERE uid = ?1 AND key = ?2 AND created_us > ?3";
/* Replaces a key whose time is over and that is still there. */
static const char add_sql[] = "INSERT OR REPLACE INTO idempotency_keys (uid, key, method, digest, "
			      "answer, created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
static const char oldest_sql[] = "SELECT created_us FROM idempotency_keys ORDER BY id LIMIT 1";
static const char forget_sql[] = "DELETE FROM idempotency_keys WHERE created_us <= ?1 AND id IN "
				 "(SELECT id FROM idempotency_keys ORDER BY id LIMIT ?2)";

static int bind_text(sqlite3_stmt *statement, int place, const char *text, size_t length)
{
	return sqlite3_bind_text64(statement, place, text, length, SQLITE_STATIC, SQLITE_UTF8);
}

static int bind_key(sqlite3_stmt *statement, const struct idempotency *key)
{
	int code = sqlite3_bind_int64(statement, 1, key->uid);

	return code == SQLITE_OK ? bind_text(statement, 2, key->key, key->length) : code;
}

static struct idempotency_text replay_text(sqlite3_stmt *statement, int place)
{
	struct idempotency_text text = {(const char *)sqlite3_column_text(statement, place), 0};

	text.length = (size_t)sqlite3_column_bytes(statement, place);
	return text;
}

/* SQLITE_ROW: the call has its stored answer, or is refused. SQLITE_DONE: the key is new. */
static int find_stored(struct session *session, struct call *call)
{
	sqlite3_stmt *statement;
	int code = session_keep(session, find_sql, &statement);

	if (code == SQLITE_OK)
		code = bind_key(statement, call->idempotency);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(statement, 3, call->now - kept_us);
	if (code != SQLITE_OK)
		return code;
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		(void)idempotency_replay(call, session->seal, replay_text(statement, 0),
			replay_text(statement, 1), replay_text(statement, 2));
	sqlite3_reset(statement);
	return code;
}

static int store_answer(struct session *session, struct call *call)
{
	struct idempotency_row row;
	sqlite3_stmt *statement;
	int code = session_keep(session, add_sql, &statement);

	if (code == SQLITE_OK && idempotency_make(call, session->seal, &row) < 0)
		return SQLITE_OK; /* call->err is set */
	if (code == SQLITE_OK)
		code = bind_key(statement, call->idempotency);
	if (code == SQLITE_OK)
		code = bind_text(statement, 3, call->method->name, call->method->name_length);
	if (code == SQLITE_OK)
		code = bind_text(statement, 4, row.digest, IDEMPOTENCY_DIGEST);
	if (code == SQLITE_OK)
		code = bind_text(statement, 5, row.answer, row.answer_length);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(statement, 6, call->now);
	return code == SQLITE_OK ? session_step(statement) : code;
}

enum run_result replay_run(struct session *session, struct call *call)
{
	enum run_result result;
	int code = find_stored(session, call);

	if (code == SQLITE_ROW)
		return RUN_DONE;
	if (code != SQLITE_DONE)
		return session_run_failed(session, call, code);
	result = savepoint_run(session, call);
	if (result != RUN_DONE || call->err.kind != ERR_NONE ||
		sqlite3_get_autocommit(session->db) != 0)
		return result;
	code = store_answer(session, call);
	if (code == SQLITE_OK && call->err.kind == ERR_NONE)
		return RUN_DONE;
	if (code != SQLITE_OK)
		result = session_run_failed(session, call, code);
	/* The write must not stay without its key, nor run twice in one transaction. The writer
	 * undoes a refused call that has changed rows, but not a transaction. */
	if ((result == RUN_INTERRUPTED || result == RUN_BUSY || transaction_is(call)) &&
		sqlite3_get_autocommit(session->db) == 0 &&
		session_step(session->rollback) != SQLITE_OK)
		return RUN_BROKEN; /* only closing the connection ends the transaction */
	return result == RUN_BUSY ? RUN_INTERRUPTED : result;
}

void replay_forget(struct worker *writer)
{
	atomic_uint_fast64_t *due = &writer->store->forget_at;
	struct session *session = &writer->session;
	sqlite3_stmt *statement;
	uint64_t now = clock_ns();
	bool more = false;

	if (now < atomic_load_explicit(due, memory_order_relaxed) ||
		sqlite3_get_autocommit(session->db) != 0)
		return;
	if (session_keep(session, forget_sql, &statement) == SQLITE_OK &&
		sqlite3_bind_int64(statement, 1, timestamp_now() - kept_us) == SQLITE_OK &&
		sqlite3_bind_int64(statement, 2, FORGET_MAX) == SQLITE_OK &&
		session_step(statement) == SQLITE_OK)
		more = sqlite3_changes(session->db) == FORGET_MAX;
	atomic_store_explicit(due, more ? now : now + forget_ns, memory_order_relaxed);
}

bool replay_forgets(struct worker *writer)
{
	atomic_uint_fast64_t *due = &writer->store->forget_at;
	struct session *session = &writer->session;
	sqlite3_stmt *statement;
	bool forgets = false;

	if (session->db == NULL || clock_ns() < atomic_load_explicit(due, memory_order_relaxed))
		return false;
	if (session_keep(session, oldest_sql, &statement) == SQLITE_OK) {
		if (sqlite3_step(statement) == SQLITE_ROW)
			forgets = sqlite3_column_int64(statement, 0) <= timestamp_now() - kept_us;
		sqlite3_reset(statement);
	}
	if (!forgets)
		atomic_store_explicit(due, clock_ns() + forget_ns, memory_order_relaxed);
	return forgets;
}
