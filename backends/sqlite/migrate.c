#include "migrate.h"

#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "../../protocol/json.h"
#include "../migration.h"

enum { TELL_SECONDS = 5, TELL_STEPS = 1 << 20 };

static int64_t newest_known(void)
{
	int64_t newest = 0;

	for (const struct migration *migration = sqlite_migrations; migration->name != NULL; migration++)
		newest = migration->number;
	return newest;
}

static int failed(struct session *session, const char *what, struct err *err)
{
	int code = sqlite3_extended_errcode(session->db);
	int exit_code = (code & 0xFF) == SQLITE_CORRUPT || (code & 0xFF) == SQLITE_NOTADB ? EX_DATAERR :
	                (code & 0xFF) == SQLITE_BUSY ? EX_TEMPFAIL : (code & 0xFF) == SQLITE_READONLY ? EX_CANTCREAT : EX_IOERR;

	return err_exit(err, exit_code, "%s: %s", what, session_reason(code));
}

static bool has_table(struct session *session, const char *name)
{
	char sql[128];

	sqlite3_snprintf(sizeof sql, sql, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = %Q", name);
	return session_integer(session, sql) > 0;
}

int64_t migrate_version(struct session *session, struct err *err)
{
	int64_t tables = session_integer(session, "SELECT count(*) FROM sqlite_schema");

	if (tables < 0)
		return failed(session, "the database cannot be read", err);
	if (!has_table(session, "pierre_migrations"))
		return 0;
	int64_t version = session_integer(session, "SELECT COALESCE(max(version), 0) FROM pierre_migrations");
	return version >= 0 ? version : failed(session, "the table of migrations cannot be read", err);
}

int migrate_check(struct session *session, bool current_only, struct err *err)
{
	int64_t version = migrate_version(session, err), known = newest_known();

	if (version < 0)
		return -1;
	if (version > known)
		return err_exit(err, EX_DATAERR, "the database's schema has version %lld, which a newer daemon made; this one knows up to %lld",
		                (long long)version, (long long)known);
	if (current_only && version < known)
		return err_exit(err, EX_CONFIG, "the database's schema has version %lld, this daemon needs %lld: run pierre-dbd "
		                "--migrate-only, or start it without --no-migrate",
		                (long long)version, (long long)known);
	return 0;
}

/* Within the transaction that the caller holds. A foreign key that points nowhere would be a defect of the migration. */
static int apply_one(struct session *session, const struct migration *migration, struct err *err)
{
	char sql[256];

	if (sqlite3_exec(session->db, migration->sql, NULL, NULL, NULL) != SQLITE_OK)
		return failed(session, migration->name, err);
	if (session_integer(session, "SELECT count(*) FROM pragma_foreign_key_check") != 0)
		return err_exit(err, EX_DATAERR, "%s: rows refer to others that do not exist", migration->name);
	sqlite3_snprintf(sizeof sql, sql,
	                 "INSERT INTO pierre_migrations (version, name, applied_at) VALUES (%d, %Q, strftime('%%Y-%%m-%%dT%%H:%%M:%%f+00:00', 'now'))",
	                 migration->number, migration->name);
	if (sqlite3_exec(session->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return failed(session, migration->name, err);
	return 0;
}

/* The version is read again under the lock: another daemon may have been here first. */
static int apply_locked(struct session *session, const struct migration *migration, bool *applied, struct err *err)
{
	if (sqlite3_exec(session->db,
	                 "CREATE TABLE IF NOT EXISTS pierre_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)",
	                 NULL, NULL, NULL) != SQLITE_OK)
		return failed(session, "the table of migrations cannot be made", err);
	int64_t version = migrate_version(session, err);
	if (version < 0)
		return -1;
	*applied = version < migration->number;
	return *applied ? apply_one(session, migration, err) : 0;
}

/* A migration of a large database takes minutes: whoever waits is told now and then that it moves. */
struct step {
	void (*progress)(const char *what);
	const char *name;
	time_t told;
};

static int tell(void *argument)
{
	struct step *step = argument;
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec - step->told >= TELL_SECONDS) {
		step->told = now.tv_sec;
		step->progress(step->name);
	}
	return 0;
}

static void begin_step(struct session *session, struct step *step, const char *name)
{
	struct timespec now;

	if (step->progress == NULL)
		return;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	step->name = name;
	step->told = now.tv_sec;
	step->progress(name);
	sqlite3_progress_handler(session->db, TELL_STEPS, tell, step);
}

static void end_step(struct session *session, const struct step *step)
{
	if (step->progress != NULL)
		sqlite3_progress_handler(session->db, 0, NULL, NULL);
}

int migrate_apply(struct session *session, struct buffer *applied, void (*progress)(const char *what), struct err *err)
{
	int64_t version = migrate_version(session, err);
	struct step step = {.progress = progress};

	if (version < 0)
		return -1;
	for (const struct migration *migration = sqlite_migrations; migration->name != NULL; migration++) {
		bool did = false;
		int result;

		if (migration->number <= version)
			continue;
		begin_step(session, &step, migration->name);
		/* Making a table again must not set off the cascades of those that refer to it. The pragma works only outside a transaction. */
		if (sqlite3_exec(session->db, "PRAGMA foreign_keys=OFF; BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
			end_step(session, &step);
			return failed(session, migration->name, err);
		}
		result = apply_locked(session, migration, &did, err);
		if (result == 0 && sqlite3_exec(session->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
			result = failed(session, migration->name, err);
		if (result < 0)
			(void)sqlite3_exec(session->db, "ROLLBACK", NULL, NULL, NULL);
		(void)sqlite3_exec(session->db, "PRAGMA foreign_keys=ON", NULL, NULL, NULL);
		end_step(session, &step);
		if (result < 0)
			return -1;
		if (did && applied != NULL) {
			if (applied->length > 0 && applied->data[applied->length - 1] != '[')
				buffer_byte(applied, ',');
			json_write_string(applied, migration->name, strlen(migration->name));
		}
	}
	return 0;
}

static int wrong_key(struct err *err)
{
	return err_exit(err, EX_NOPERM, "the encryption key does not open what this database holds: it was made with another key");
}

/* -1: no token there; else whether one of the first few opens (a single damaged one must not keep the daemon from starting). */
static int opens_a_token(struct session *session, const char *provider)
{
	char sql[512];
	sqlite3_stmt *statement;
	int result = -1;

	sqlite3_snprintf(sizeof sql, sql,
	                 "SELECT %s_access_token, %s_nonce FROM users WHERE %s_access_token IS NOT NULL AND %s_refresh_token IS NOT NULL AND "
	                 "%s_expires_at IS NOT NULL AND %s_scope IS NOT NULL AND %s_nonce IS NOT NULL LIMIT 16",
	                 provider, provider, provider, provider, provider, provider, provider);
	if (sqlite3_prepare_v2(session->db, sql, -1, &statement, NULL) != SQLITE_OK)
		return -1;
	while (result != 1 && sqlite3_step(statement) == SQLITE_ROW) {
		struct arena arena = {.wipe = true};
		const char *plain;
		size_t length;

		result = seal_open(session->seal, &arena, (const char *)sqlite3_column_text(statement, 0),
		                   (size_t)sqlite3_column_bytes(statement, 0), (const char *)sqlite3_column_text(statement, 1),
		                   (size_t)sqlite3_column_bytes(statement, 1), 0, &plain, &length, NULL) == 0;
		arena_free(&arena);
	}
	sqlite3_finalize(statement);
	return result;
}

int migrate_prove_key(struct session *session, struct err *err)
{
	sqlite3_stmt *statement;
	int found = -1;

	if (session_integer(session, "SELECT count(*) FROM sqlite_schema") < 0)
		return failed(session, "the database cannot be read", err);
	if (has_table(session, "pierre_meta")) {
		if (sqlite3_prepare_v2(session->db, "SELECT value FROM pierre_meta WHERE key = 'key_check'", -1, &statement, NULL) != SQLITE_OK)
			return failed(session, "the key check value cannot be read", err);
		if (sqlite3_step(statement) == SQLITE_ROW)
			found = seal_check_matches(session->seal, (const char *)sqlite3_column_text(statement, 0),
			                           (size_t)sqlite3_column_bytes(statement, 0));
		sqlite3_finalize(statement);
	}
	if (found < 0 && has_table(session, "users")) {
		int strava = opens_a_token(session, "strava"), fitbit = strava == 1 ? 1 : opens_a_token(session, "fitbit");

		found = strava > fitbit ? strava : fitbit;
	}
	return found == 0 ? wrong_key(err) : 0;
}

int migrate_store_key_check(struct session *session, struct err *err)
{
	char check[128];
	sqlite3_stmt *statement;
	int code;

	seal_check_make(session->seal, check);
	code = sqlite3_prepare_v2(session->db, "INSERT OR IGNORE INTO pierre_meta (key, value) VALUES ('key_check', ?1)", -1, &statement, NULL);
	if (code == SQLITE_OK) {
		sqlite3_bind_text(statement, 1, check, -1, SQLITE_STATIC);
		code = session_step(statement);
	}
	sqlite3_finalize(statement);
	return code == SQLITE_OK ? 0 : failed(session, "the key check value cannot be stored", err);
}
