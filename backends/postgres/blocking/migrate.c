/* Schema versions, by blocking queries before the connection enters pipeline mode. Each transaction
 * takes its own advisory lock, which works through a pooler and with many daemons at once. */
#include "migrate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "../../migration.h"
#include "connect.h"

/* SQLSTATE that a migration raises when it refuses to change existing rows. */
#define MIGRATION_REFUSES "PD001"
enum { DEADLOCK_ATTEMPTS = 5 };

/* Uses only the SQLSTATE: the server's text may quote rows. */
static int postgres_migrate_failed(
	PGconn *pq, const PGresult *result, const char *what, struct err *err)
{
	const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

	if (PQstatus(pq) != CONNECTION_OK)
		return err_exit(
			err, EX_UNAVAILABLE, "%s: the connection to the database was lost", what);
	if (result == NULL)
		return err_exit(
			err, EX_UNAVAILABLE, "%s: the database did not answer in time", what);
	if (state != NULL && strcmp(state, "42501") == 0) {
		char right[POSTGRES_RIGHT_MAX];

		migrate_missing_right(pq, right);
		return err_exit(err, EX_CONFIG,
			"%s: the database role lacks the right to do this: %s", what, right);
	}
	if (state != NULL && strcmp(state, "25006") == 0)
		return err_exit(err, EX_UNAVAILABLE,
			"%s: the database server accepts no writes: it is a standby or read-only",
			what);
	if (state != NULL && strcmp(state, "3F000") == 0)
		return err_exit(err, EX_CONFIG,
			"%s: the search_path names no existing schema that the role may "
			"use (USAGE)",
			what);
	if (state != NULL && strcmp(state, "40P01") == 0)
		return err_exit(err, EX_TEMPFAIL,
			"%s: transactions of other programs hold locks on the tables", what);
	/* A migration's own message about the rows names tables and numbers, never a value. */
	if (state != NULL && strcmp(state, MIGRATION_REFUSES) == 0)
		return err_exit(err, EX_DATAERR, "%s: %s", what,
			PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	/* Another program's table: a retry cannot succeed. */
	if (state != NULL && strncmp(state, "42", 2) == 0)
		return err_exit(err, EX_DATAERR,
			"%s: a table does not match this daemon's schema (SQLSTATE %s)", what,
			state);
	return err_exit(err, EX_UNAVAILABLE, "%s: the database refused it (SQLSTATE %s)", what,
		state != NULL ? state : "unknown");
}

/* Without a time limit: a migration of many rows takes long. */
static int postgres_migrate_execute(PGconn *pq, const char *sql, const char *what, struct err *err)
{
	PGresult *result = PQexec(pq, sql);
	ExecStatusType status = PQresultStatus(result);
	int code = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK
		? 0
		: postgres_migrate_failed(pq, result, what, err);

	PQclear(result);
	return code;
}

/* One value of one row as text, which the caller frees; NULL: none. */
static int ask_value(PGconn *pq, const char *sql, const char *what, char **text, struct err *err)
{
	PGresult *result = connect_question(pq, sql);
	int code = 0;

	*text = NULL;
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		code = postgres_migrate_failed(pq, result, what, err);
	else if (PQntuples(result) > 0 && PQnfields(result) > 0 && !PQgetisnull(result, 0, 0) &&
		(*text = strdup(PQgetvalue(result, 0, 0))) == NULL)
		code = err_exit(err, EX_OSERR, "out of memory");
	PQclear(result);
	return code;
}

int64_t migrate_schema(PGconn *pq, struct err *err)
{
	static const char what[] = "reading the schema's version";
	int64_t version = 0;
	char *text;

	if (ask_value(pq, "SELECT to_regclass('pierre_migrations')::text", what, &text, err) < 0)
		return -1;
	if (text == NULL)
		return 0;
	free(text);
	if (ask_value(pq, "SELECT COALESCE(max(version), 0) FROM pierre_migrations", what, &text,
		    err) < 0)
		return -1;
	if (text != NULL)
		version = strtoll(text, NULL, 10);
	free(text);
	return version;
}

/* Other encodings cannot store most texts, or do not validate them. A pooler may not report the
 * encoding; UTF8 is assumed then. */
static int check_encoding(PGconn *pq, struct err *err)
{
	const char *encoding = PQparameterStatus(pq, "server_encoding");

	if (encoding == NULL || strcmp(encoding, "UTF8") == 0)
		return 0;
	return err_exit(err, EX_CONFIG,
		"the database's encoding is %.40s, it must be UTF8: create it with CREATE DATABASE "
		"... ENCODING 'UTF8' TEMPLATE template0",
		encoding);
}

/* Names that the migrations use, as the text of an array: tables, and indexes if `indexes`. */
static void put_names(struct buffer *names, bool indexes)
{
	static const char *const words[] = {
		"CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX "};

	buffer_text(names, "'{pierre_migrations");
	for (const struct migration *migration = postgres_migrations; migration->name != NULL;
		migration++)
		for (size_t i = 0; i < (indexes ? 3 : 1); i++)
			for (const char *at = migration->sql;
				(at = strstr(at, words[i])) != NULL;) {
				at += strlen(words[i]);
				buffer_byte(names, ',');
				buffer_append(names, at,
					strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789_"));
			}
	buffer_text(names, "}'::text[]");
}

void migrate_missing_right(PGconn *pq, char right[POSTGRES_RIGHT_MAX])
{
	struct buffer sql = {0};
	char *text = NULL;

	if (PQtransactionStatus(pq) == PQTRANS_INERROR)
		PQclear(PQexec(pq, "ROLLBACK"));
	buffer_text(&sql,
		"SELECT name FROM (SELECT 1 AS place, 'CREATE on schema ' || nspname AS name "
		"FROM pg_namespace "
		"WHERE nspname = current_schema() AND NOT has_schema_privilege(oid, 'CREATE') "
		"UNION ALL "
		"SELECT 0, r || ' on table ' || relname FROM pg_class, "
		"unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r WHERE relkind IN "
		"('r', 'p') "
		"AND relnamespace = to_regnamespace(current_schema()) AND NOT (r <> 'SELECT' AND "
		"relname = 'pierre_migrations') "
		"AND NOT has_table_privilege(oid, r) AND relname = ANY (");
	put_names(&sql, false);
	buffer_append(&sql, ")) AS missing ORDER BY place, name LIMIT 1",
		sizeof ")) AS missing ORDER BY place, name LIMIT 1");
	if (sql.failure == BUFFER_OK)
		(void)ask_value(pq, sql.data, "reading the role's rights", &text, NULL);
	(void)snprintf(right, POSTGRES_RIGHT_MAX, "%.120s",
		text != NULL ? text : "to use the schema, or to own its tables");
	free(text);
	buffer_free(&sql);
}

/* None of this daemon's tables exists: an object with one of their names belongs to another
 * program. */
static int check_foreign(PGconn *pq, struct err *err)
{
	struct buffer sql = {0};
	char *text = NULL;
	int code = -1;

	buffer_text(&sql,
		"SELECT min(nspname || '.' || relname) FROM pg_class c JOIN pg_namespace n ON "
		"n.oid = relnamespace "
		"WHERE nspname = current_schema() AND to_regclass('pierre_migrations') IS NULL "
		"AND relname = ANY (");
	put_names(&sql, true);
	buffer_append(&sql, ")", 2);
	if (sql.failure != BUFFER_OK)
		(void)err_exit(err, EX_OSERR, "out of memory");
	else
		code = ask_value(pq, sql.data, "checking for another program's tables", &text, err);
	if (text != NULL)
		code = err_exit(err, EX_DATAERR,
			"the schema holds %.120s, which this daemon did not create: another "
			"program's database; give "
			"the daemon a database or a schema (search_path) of its own",
			text);
	free(text);
	buffer_free(&sql);
	return code;
}

int migrate_check_schema(PGconn *pq, bool current_only, struct err *err)
{
	if (check_encoding(pq, err) < 0)
		return -1;
	int64_t version = migrate_schema(pq, err), known = migration_newest(postgres_migrations);

	if (version < 0)
		return -1;
	if (version > known)
		return err_exit(err, EX_DATAERR,
			"the database's schema has version %" PRId64
			", which a newer daemon made; this one knows up to %" PRId64,
			version, known);
	if (version == 0 && check_foreign(pq, err) < 0)
		return -1;
	if (current_only && version < known)
		return err_exit(err, EX_CONFIG,
			"the database's schema has version %" PRId64 ", this daemon needs %" PRId64
			": run pierre-dbd --migrate-only, or start it without --no-migrate",
			version, known);
	return 0;
}

/* Overrides the defaults of the role or the database: the previous holder's commit must be visible,
 * and a migration or the wait for one has no time limit. */
static const char begin[] = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0";
static const char without_end[] = "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; "
				  "SET LOCAL idle_in_transaction_session_timeout = 0";

/* Within a transaction that holds the lock. Another daemon may have migrated first, so this reads
 * the version again. */
static int postgres_migrate_apply(
	PGconn *pq, const struct migration *migration, bool *did, struct err *err)
{
	char sql[256];

	if (postgres_migrate_execute(pq, postgres_settings_sql, migration->name, err) < 0 ||
		postgres_migrate_execute(pq, without_end, migration->name, err) < 0 ||
		postgres_migrate_execute(pq, "SELECT pg_advisory_xact_lock(7235434120189153124)",
			migration->name, err) < 0 ||
		postgres_migrate_execute(pq,
			"CREATE TABLE IF NOT EXISTS pierre_migrations (version INTEGER NOT NULL, "
			"name TEXT NOT NULL, "
			"applied_at TIMESTAMPTZ NOT NULL DEFAULT now(), CONSTRAINT "
			"pierre_migrations_pkey PRIMARY KEY (version))",
			migration->name, err) < 0)
		return -1;
	int64_t version = migrate_schema(pq, err);
	if (version < 0)
		return -1;
	*did = version < migration->number;
	if (!*did)
		return 0;
	(void)snprintf(sql, sizeof sql,
		"INSERT INTO pierre_migrations (version, name) VALUES (%d, '%s')",
		migration->number, migration->name);
	if (postgres_migrate_execute(pq, migration->sql, migration->name, err) < 0)
		return -1;
	/* A new database has bound tokens: a later migration follows. */
	if (version == 0 &&
		postgres_migrate_execute(pq,
			"INSERT INTO pierre_meta (key, value) VALUES ('token_format', 'bound')",
			migration->name, err) < 0)
		return -1;
	return postgres_migrate_execute(pq, sql, migration->name, err);
}

/* Applies one migration in a transaction. A deadlock with other programs' transactions has changed
 * nothing and is retried. */
static int postgres_migrate_step(
	PGconn *pq, const struct migration *migration, bool *did, struct err *err)
{
	for (unsigned attempt = 1;; attempt++) {
		int code = postgres_migrate_execute(pq, begin, migration->name, err);

		if (code == 0)
			code = postgres_migrate_apply(pq, migration, did, err);
		if (code == 0)
			return postgres_migrate_execute(pq, "COMMIT", migration->name, err);
		PQclear(PQexec(pq, "ROLLBACK"));
		if (err->exit_code != EX_TEMPFAIL)
			return -1;
		if (attempt == DEADLOCK_ATTEMPTS)
			return err_exit(err, EX_UNAVAILABLE,
				"%s: transactions of other programs hold locks on the tables",
				migration->name);
	}
}

int migrate_postgres(
	PGconn *pq, struct buffer *applied, void (*progress)(const char *what), struct err *err)
{
	int64_t version = migrate_schema(pq, err);

	if (version < 0)
		return -1;
	for (const struct migration *migration = postgres_migrations; migration->name != NULL;
		migration++) {
		bool did = false;

		if (migration->number <= version)
			continue;
		if (progress != NULL)
			progress(migration->name);
		if (postgres_migrate_step(pq, migration, &did, err) < 0)
			return -1;
		if (did)
			migration_list(applied, migration);
	}
	return 0;
}
