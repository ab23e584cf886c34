#include "migrate.h"

#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "../../protocol/json.h"
#include "../migration.h"

enum { TELL_SECONDS = 5, TELL_STEPS = 1 << 20 };

int64_t migrate_version(struct session *session, struct err *err)
{
	int64_t tables = session_integer(session, "SELECT count(*) FROM sqlite_schema");

	if (tables < 0)
		return session_failed(session, "the database cannot be read", err);
	int there = session_find_table(session, "pierre_migrations");
	if (there <= 0)
		return there == 0 ? 0 : session_failed(session, "the table of migrations cannot be read", err);
	int64_t version = session_integer(session, "SELECT COALESCE(max(version), 0) FROM pierre_migrations");
	return version >= 0 ? version : session_failed(session, "the table of migrations cannot be read", err);
}

/* An installation is known by its users, one of this daemon by its table of migrations. What has neither, but other tables, is somebody
 * else's, and is not to be filled with ours because a path was mistaken. */
int migrate_check_owner(struct session *session, struct err *err)
{
	int64_t tables = session_integer(session, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@'");

	if (tables < 0)
		return session_failed(session, "the database cannot be read", err);
	if (tables == 0 || session_has_table(session, "users") || session_has_table(session, "pierre_migrations"))
		return 0;
	return err_exit(err, EX_DATAERR, "%s is another program's database: it holds tables, but none of users",
	                sqlite3_db_filename(session->db, "main"));
}

int migrate_check(struct session *session, bool current_only, struct err *err)
{
	int64_t version = migrate_version(session, err), known = migration_newest(sqlite_migrations);

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

	int code = sqlite3_exec(session->db, migration->sql, NULL, NULL, NULL);
	if ((code & 0xFF) == SQLITE_ERROR)
		return err_exit(err, EX_DATAERR, "%s: the tables are not those of an installation: %s", migration->name, sqlite3_errmsg(session->db));
	if (code != SQLITE_OK)
		return session_failed(session, migration->name, err);
	int64_t dangling = session_integer(session, "SELECT count(*) FROM pragma_foreign_key_check");
	if (dangling < 0)
		return session_failed(session, migration->name, err);
	if (dangling > 0)
		return err_exit(err, EX_DATAERR, "%s: rows refer to others that do not exist", migration->name);
	sqlite3_snprintf(sizeof sql, sql,
	                 "INSERT INTO pierre_migrations (version, name, applied_at) VALUES (%d, %Q, strftime('%%Y-%%m-%%dT%%H:%%M:%%f+00:00', 'now'))",
	                 migration->number, migration->name);
	if (sqlite3_exec(session->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return session_failed(session, migration->name, err);
	return 0;
}

/* The version is read again under the lock: another daemon may have been here first. */
static int apply_locked(struct session *session, const struct migration *migration, bool *applied, struct err *err)
{
	if (sqlite3_exec(session->db,
	                 "CREATE TABLE IF NOT EXISTS pierre_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)",
	                 NULL, NULL, NULL) != SQLITE_OK)
		return session_failed(session, "the table of migrations cannot be made", err);
	int64_t version = migrate_version(session, err);
	if (version < 0)
		return -1;
	/* After some failures SQLite ends a transaction by itself; without one a migration could stop half-way. */
	if (sqlite3_get_autocommit(session->db) != 0)
		return session_failed(session, migration->name, err);
	*applied = version < migration->number;
	return *applied ? apply_one(session, migration, err) : 0;
}

/* A migration of a large database takes minutes: whoever waits is told now and then that it moves. */
struct step {
	void (*progress)(const char *what);
	const char *name;
	double told;
};

static int tell(void *argument)
{
	struct step *step = argument;
	double now = clock_seconds();

	if (now - step->told >= TELL_SECONDS) {
		step->told = now;
		step->progress(step->name);
	}
	return 0;
}

static void begin_step(struct session *session, struct step *step, const char *name)
{
	if (step->progress == NULL)
		return;
	step->name = name;
	step->told = clock_seconds();
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
		if (sqlite3_exec(session->db, "PRAGMA foreign_keys=OFF; BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK)
			result = apply_locked(session, migration, &did, err);
		else
			result = session_failed(session, migration->name, err);
		if (result == 0 && sqlite3_exec(session->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
			result = session_failed(session, migration->name, err);
		if (result < 0)
			(void)sqlite3_exec(session->db, "ROLLBACK", NULL, NULL, NULL);
		(void)sqlite3_exec(session->db, "PRAGMA foreign_keys=ON", NULL, NULL, NULL);
		end_step(session, &step);
		if (result < 0)
			return -1;
		if (did)
			migration_list(applied, migration);
	}
	return 0;
}
