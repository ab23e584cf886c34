/* Schema upgrades. A new database is created with the schema that the migrations lead to
 * (new_schema.h); in any other the missing ones run. A migration preserves what the owner has added
 * (columns, indexes, triggers, views) and rows that were already invalid. So no migration recreates
 * a table: it adds columns.
 *
 * To widen a CHECK it edits the schema's text, SQLite's documented method where no stored row
 * changes (widen.c). tests/structure refuses anything else. */
#include "migrate.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "../../protocol/json/json_add.h"
#include "../execute.h"
#include "../migration.h"
#include "files/references.h"
#include "files/widen.h"
#include "schema/new_schema.h"
#include "schema/upgrade.h"

enum { TELL_SECONDS = 5, TELL_STEPS = 1 << 20 };

#define COUNT_OBJECTS "SELECT count(*) FROM sqlite_schema"
/* A database that the daemon has made itself has bound tokens. */
#define STORE_FORMAT                                                                               \
	"INSERT OR IGNORE INTO pierre_meta (key, value) VALUES ('token_format', 'bound')"

int64_t migrate_version(struct session *session, struct err *err)
{
	if (session_integer(session, COUNT_OBJECTS) < 0)
		return session_failed(session, "the database cannot be read", err);
	int there = session_find_table(session, "pierre_migrations");
	if (there <= 0)
		return there == 0
			? 0
			: session_failed(session, "the table of migrations cannot be read", err);
	int64_t version =
		session_integer(session, "SELECT COALESCE(max(version), 0) FROM pierre_migrations");
	if (version < 0 && (sqlite3_errcode(session->db) & 0xFF) == SQLITE_ERROR)
		return err_exit(err, EX_DATAERR,
			"%s is another program's database: its table pierre_migrations does not "
			"match this daemon's",
			sqlite3_db_filename(session->db, "main"));
	return version >= 0
		? version
		: session_failed(session, "the table of migrations cannot be read", err);
}

int migrate_check(struct session *session, bool current_only, struct err *err)
{
	int64_t version = migrate_version(session, err),
		known = migration_newest(sqlite_migrations);

	if (version < 0)
		return -1;
	if (version > known)
		return err_exit(err, EX_DATAERR,
			"the database's schema has version %lld, which a newer daemon made; this "
			"one knows up to %lld",
			(long long)version, (long long)known);
	if (current_only && version < known)
		return err_exit(err, EX_CONFIG,
			"the database's schema has version %lld, this daemon needs %lld: run "
			"pierre-dbd "
			"--migrate-only, or start it without --no-migrate",
			(long long)version, (long long)known);
	return 0;
}

/* Rows without their parent row, before and after. */
struct dangling {
	int64_t rows;
	char what[160]; /* the first table, with its number */
	void (*log)(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
};

static void note_dangling(void *argument, const char *table, const char *parent, int64_t rows)
{
	struct dangling *dangling = argument;

	if (dangling->rows == 0)
		(void)snprintf(dangling->what, sizeof dangling->what,
			"%lld rows of %.50s refer to missing rows of %.50s", (long long)rows, table,
			parent);
	dangling->rows += rows;
	if (dangling->log != NULL)
		dangling->log(4,
			"%lld rows of %.60s refer to missing rows of %.60s (deleted "
			"outside of the daemon?): they are kept as "
			"they are; pierre-dbctl verify lists them",
			(long long)rows, table, parent);
}

static int count_dangling(struct session *session, struct dangling *dangling, struct err *err)
{
	if (references_each_dangling(session->db, note_dangling, dangling) != SQLITE_OK)
		return session_failed(session, "the references cannot be checked", err);
	return 0;
}

static int create_table_of_migrations(struct session *session, struct err *err)
{
	return sqlite3_exec(session->db,
		       "CREATE TABLE IF NOT EXISTS pierre_migrations (version INTEGER PRIMARY KEY, "
		       "name TEXT NOT NULL, applied_at TEXT NOT NULL)",
		       NULL, NULL, NULL) == SQLITE_OK
		? 0
		: session_failed(session, "the table of migrations cannot be created", err);
}

static int record(struct session *session, const struct migration *migration, struct err *err)
{
	char sql[256];

	sqlite3_snprintf(sizeof sql, sql,
		"INSERT INTO pierre_migrations (version, name, applied_at) VALUES (%d, %Q, "
		"strftime('%%Y-%%m-%%dT%%H:%%M:%%f+00:00', 'now'))",
		migration->number, migration->name);
	return sqlite3_exec(session->db, sql, NULL, NULL, NULL) == SQLITE_OK
		? 0
		: session_failed(session, migration->name, err);
}

/* What one transaction changes. */
struct change {
	const char *name;
	const struct migration *migration;
	int64_t dangling; /* rows without their parent before it */
	bool done;
};

/* Within the caller's transaction. */
static int apply_one(struct session *session, const struct change *change, struct err *err)
{
	const struct migration *migration = change->migration;
	struct dangling after = {0};
	int code = upgrade_run(session->db, migration);

	if ((code & 0xFF) == SQLITE_ERROR)
		return err_exit(err, EX_DATAERR,
			"%s: the tables do not match an installation's: %s", migration->name,
			sqlite3_errmsg(session->db));
	if (code != SQLITE_OK)
		return session_failed(session, migration->name, err);
	if (count_dangling(session, &after, err) < 0)
		return -1;
	if (after.rows > change->dangling)
		return err_exit(err, EX_SOFTWARE, "%s: %s, which was not the case before",
			migration->name, after.what);
	return record(session, migration, err);
}

/* Another daemon may have migrated first, so the version is read again under the lock. */
static int apply_locked(struct session *session, struct change *change, struct err *err)
{
	if (create_table_of_migrations(session, err) < 0)
		return -1;
	int64_t version = migrate_version(session, err);
	if (version < 0)
		return -1;
	/* Some failures make SQLite end the transaction by itself; the migration could then stop
	 * half-way. */
	if (sqlite3_get_autocommit(session->db) != 0)
		return err_exit(err, EX_IOERR,
			"%s: SQLite rolled back the transaction, out of memory or disk space",
			change->name);
	change->done = version < change->migration->number;
	if (!change->done)
		return 0;
	/* Until the end of the migrations, this row marks a new database: note_new_database(). */
	if (version == 0 && !session_has_table(session, "users") &&
		sqlite3_exec(session->db,
			"INSERT OR IGNORE INTO pierre_migrations (version, name, applied_at) "
			"VALUES (0, 'new database', strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))",
			NULL, NULL, NULL) != SQLITE_OK)
		return session_failed(session, change->name, err);
	return apply_one(session, change, err);
}

/* Nothing is there that a migration would have to keep: the result of all of them is created. */
static int create_locked(struct session *session, struct change *change, struct err *err)
{
	int64_t objects = session_integer(session, COUNT_OBJECTS);

	if (objects < 0)
		return session_failed(session, "the database cannot be read", err);
	change->done = objects == 0;
	if (!change->done)
		return 0;
	if (create_table_of_migrations(session, err) < 0)
		return -1;
	if (sqlite3_exec(session->db, new_schema_sql, NULL, NULL, NULL) != SQLITE_OK ||
		sqlite3_exec(session->db, STORE_FORMAT, NULL, NULL, NULL) != SQLITE_OK)
		return session_failed(session, "the tables cannot be created", err);
	for (const struct migration *migration = sqlite_migrations; migration->name != NULL;
		migration++)
		if (record(session, migration, err) < 0)
			return -1;
	return 0;
}

/* A migration of a large database takes minutes; this reports progress regularly. */
struct step {
	void (*progress)(const char *what);
	const char *name;
	double logged;
};

static int sqlite_migrate_tell(void *argument)
{
	struct step *step = argument;
	double now = clock_seconds();

	if (now - step->logged >= TELL_SECONDS) {
		step->logged = now;
		step->progress(step->name);
	}
	return 0;
}

static void begin_step(struct session *session, struct step *step, const char *name)
{
	if (step->progress == NULL)
		return;
	step->name = name;
	step->logged = clock_seconds();
	step->progress(name);
	sqlite3_progress_handler(session->db, TELL_STEPS, sqlite_migrate_tell, step);
}

static void end_step(struct session *session, const struct step *step)
{
	if (step->progress != NULL)
		sqlite3_progress_handler(session->db, 0, NULL, NULL);
}

static int change_in_transaction(struct session *session, struct change *change,
	int (*change_locked)(struct session *session, struct change *change, struct err *err),
	struct err *err)
{
	int result;

	/* The pragma has an effect only outside a transaction. */
	if (sqlite3_exec(session->db, "PRAGMA foreign_keys=OFF; BEGIN IMMEDIATE", NULL, NULL,
		    NULL) == SQLITE_OK)
		result = change_locked(session, change, err);
	else
		result = session_failed(session, change->name, err);
	if (result == 0 && sqlite3_exec(session->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		result = session_failed(session, change->name, err);
	if (result < 0)
		(void)sqlite3_exec(session->db, "ROLLBACK", NULL, NULL,
			NULL); /* SQLite may have ended it by itself */
	if (result < 0)
		(void)sqlite3_exec(session->db, "PRAGMA writable_schema=RESET", NULL, NULL, NULL);
	(void)sqlite3_exec(session->db, "PRAGMA foreign_keys=ON", NULL, NULL, NULL);
	return result;
}

static int note_new_database(struct session *session, struct err *err)
{
	if (session_integer(session, "SELECT count(*) FROM pierre_migrations WHERE version = 0") <=
		0)
		return 0;
	if (sqlite3_exec(session->db,
		    "BEGIN IMMEDIATE; " STORE_FORMAT
		    "; DELETE FROM pierre_migrations WHERE version = 0; COMMIT",
		    NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	(void)session_failed(session, "the format of the tokens cannot be stored", err);
	(void)sqlite3_exec(session->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

/* Does nothing to a database that is not empty. */
static int create_new(
	struct session *session, struct step *step, struct buffer *applied, struct err *err)
{
	struct change change = {.name = "new database"};
	int result;

	if (session_integer(session, COUNT_OBJECTS) != 0)
		return 0;
	begin_step(session, step, change.name);
	result = change_in_transaction(session, &change, create_locked, err);
	end_step(session, step);
	for (const struct migration *migration = sqlite_migrations;
		change.done && migration->name != NULL; migration++)
		migration_list(applied, migration);
	return result;
}

int migrate_apply(struct session *session, struct buffer *applied,
	const struct migrate_watch *watch, struct err *err)
{
	struct step step = {.progress = watch != NULL ? watch->progress : NULL};
	struct dangling before = {.log = watch != NULL ? watch->log : NULL};

	if (create_new(session, &step, applied, err) < 0)
		return -1;
	int64_t version = migrate_version(session, err);
	if (version < 0)
		return -1;
	if (widen_register(session->db) != SQLITE_OK)
		return session_failed(
			session, "the migrations' function cannot be registered", err);
	if (version < migration_newest(sqlite_migrations) &&
		count_dangling(session, &before, err) < 0)
		return -1;
	for (const struct migration *migration = sqlite_migrations; migration->name != NULL;
		migration++) {
		struct change change = {migration->name, migration, before.rows, false};

		if (migration->number <= version)
			continue;
		begin_step(session, &step, change.name);
		int result = change_in_transaction(session, &change, apply_locked, err);
		end_step(session, &step);
		if (result < 0)
			return -1;
		if (change.done)
			migration_list(applied, migration);
	}
	return note_new_database(session, err);
}

int64_t migrate_call(
	struct session *session, struct call *call, void (*log)(int level, const char *format, ...))
{
	struct buffer applied = {0};
	struct err err;
	int result;

	json_add_array(&applied, NULL);
	result = migrate_apply(session, &applied, &(struct migrate_watch){.log = log}, &err);
	json_add_end(&applied, ']');
	int64_t schema = migrate_version(session, NULL);
	if (result < 0)
		(void)execute_fail(call, ERR_STORAGE, "%s", err.message);
	else
		migration_describe(&call->answer, schema, &applied);
	buffer_free(&applied);
	return schema;
}

int migrate_reference(struct session *session, int64_t version, struct err *err)
{
	if (session_open(session, ":memory:", SESSION_MEMORY, NULL, err) < 0 ||
		widen_register(session->db) != SQLITE_OK)
		return -1;
	if (version == migration_newest(sqlite_migrations))
		return sqlite3_exec(session->db, new_schema_sql, NULL, NULL, NULL) == SQLITE_OK
			? 0
			: err_exit(err, EX_SOFTWARE, "the reference schema: %s",
				  sqlite3_errmsg(session->db));
	for (const struct migration *migration = sqlite_migrations;
		migration->name != NULL && migration->number <= version; migration++)
		if (upgrade_run(session->db, migration) != SQLITE_OK)
			return err_exit(err, EX_SOFTWARE, "%s: %s", migration->name,
				sqlite3_errmsg(session->db));
	return 0;
}
