#include "session_tokens.h"

#include "../../secrets/binding.h"
#include "../../secrets/rotation.h"

/* Rows after which a step ends. One session is never divided: its requests refer to its token. */
enum { ROWS_MAX = 2000 };

/* Two ranges of the unique index. */
static const char next_sql[] = "SELECT session_token FROM a2a_sessions "
			       "WHERE session_token < '" BINDING_HASH_MARK "' "
			       "OR session_token >= '" BINDING_HASH_END "' LIMIT 1";
static const char usage_sql[] = "UPDATE a2a_usage SET session_token = ?1 WHERE session_token = ?2";
static const char session_sql[] =
	"UPDATE a2a_sessions SET session_token = ?1 WHERE session_token = ?2";

static int replace(struct session *session, const char *sql, const char *hash, sqlite3_stmt *token)
{
	sqlite3_stmt *statement;
	int code = session_keep(session, sql, &statement);

	if (code == SQLITE_OK)
		code = sqlite3_bind_text(statement, 1, hash, BINDING_HASH_LENGTH, SQLITE_TRANSIENT);
	if (code == SQLITE_OK)
		code = sqlite3_bind_value(statement, 2, sqlite3_column_value(token, 0));
	if (code == SQLITE_OK)
		code = session_step(statement);
	if (code == SQLITE_OK)
		code = sqlite3_clear_bindings(statement);
	return code;
}

/* SQLITE_DONE: none is left. */
static int hash_one(struct session *session)
{
	char hash[BINDING_HASH_LENGTH + 1];
	sqlite3_stmt *next;
	int code = session_keep(session, next_sql, &next);

	if (code == SQLITE_OK)
		code = sqlite3_step(next);
	if (code == SQLITE_ROW) {
		const char *token = (const char *)sqlite3_column_text(next, 0);

		if (token == NULL) {
			code = SQLITE_NOMEM;
		} else {
			binding_hash(token, (size_t)sqlite3_column_bytes(next, 0), hash);
			code = replace(session, usage_sql, hash, next);
			if (code == SQLITE_OK)
				code = replace(session, session_sql, hash, next);
		}
	}
	if (next != NULL)
		sqlite3_reset(next);
	return code;
}

int session_tokens_hash(struct session *session, uint64_t *found, struct err *err)
{
	sqlite3_int64 before = sqlite3_total_changes64(session->db);
	/* The requests refer to a token that their session does not have yet. The old bytes do not
	 * stay in the file. */
	int code = sqlite3_exec(session->db,
		"PRAGMA defer_foreign_keys=ON; PRAGMA secure_delete=ON", NULL, NULL, NULL);

	*found = 0;
	while (code == SQLITE_OK && *found < ROTATION_ROWS &&
		sqlite3_total_changes64(session->db) - before < ROWS_MAX) {
		code = hash_one(session);
		if (code == SQLITE_OK)
			++*found;
	}
	(void)sqlite3_exec(session->db, "PRAGMA secure_delete=OFF", NULL, NULL, NULL);
	return code == SQLITE_OK || code == SQLITE_DONE
		? 0
		: err_set(err, ERR_STORAGE, "%s", session_reason(code));
}
