/* The SQLite end. Reading: one read transaction, concurrently with other programs. Writing: one
 * transaction on a file that no daemon uses. */
#include "sqlite_end.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "../../backends/migration.h"
#include "../../backends/sqlite/keys.h"
#include "../../backends/sqlite/migrate.h"
#include "../../backends/sqlite/files/path.h"
#include "../../backends/sqlite/files/place.h"
#include "../../backends/sqlite/session.h"
#include "row.h"

struct sqlite_end {
	struct end end;
	struct session session;
	struct sqlite_place place; /* a target is locked like a daemon's database */
	sqlite3_stmt *cursor, *insert, *after, *reader;
};

static struct sqlite_end *sqlite_end_self(struct end *end)
{
	return (struct sqlite_end *)(void *)end;
}

static int sqlite_end_failed(struct sqlite_end *end, const struct table_of *table, struct err *err)
{
	return err_exit(err, EX_IOERR, "%s, table %s: %s", end->end.shown,
		table != NULL ? table->name : "-", sqlite3_errmsg(end->session.db));
}

static void sqlite_end_drop(sqlite3_stmt **statement)
{
	(void)sqlite3_finalize(*statement);
	*statement = NULL;
}

static int sqlite_end_prepare(struct sqlite_end *end, const struct table_of *table, const char *sql,
	sqlite3_stmt **statement, struct err *err)
{
	sqlite_end_drop(statement);
	return sqlite3_prepare_v2(end->session.db, sql, -1, statement, NULL) == SQLITE_OK
		? 0
		: sqlite_end_failed(end, table, err);
}

static const struct method *method_of(const char *name)
{
	return catalog_find(name, strlen(name));
}

/* Reading */

static int sqlite_end_count(
	struct end *base, const struct table_of *table, int64_t *rows, struct err *err)
{
	struct buffer sql = {0};

	buffer_text(&sql, "SELECT count(*)");
	tables_from(table, BACKEND_SQLITE, &sql);
	*rows = session_integer(&sqlite_end_self(base)->session, sql.data);
	buffer_free(&sql);
	return *rows >= 0 ? 0 : sqlite_end_failed(sqlite_end_self(base), table, err);
}

static int sqlite_end_read_table(struct end *base, const struct table_of *table, struct err *err)
{
	struct sqlite_end *end = sqlite_end_self(base);
	struct buffer sql = {0};
	int result;

	buffer_text(&sql, "SELECT ");
	for (unsigned i = 0; i < table->column_count; i++) {
		buffer_text(&sql, i > 0 ? ", " : "");
		buffer_text(&sql,
			table->columns[i].sqlite != NULL ? table->columns[i].sqlite
							 : table->columns[i].name);
	}
	tables_from(table, BACKEND_SQLITE, &sql);
	result = sqlite_end_prepare(end, table, sql.data, &end->cursor, err);
	buffer_free(&sql);
	if (result == 0 && table->reader != NULL)
		result = sqlite_end_prepare(end, table,
			method_of(table->reader)->statements[BACKEND_SQLITE].sql, &end->reader,
			err);
	return result;
}

static bool sqlite_end_fetch(sqlite3_stmt *cursor, int place, enum kind kind, struct value *value)
{
	int type = sqlite3_column_type(cursor, place);

	*value = (struct value){.set = type != SQLITE_NULL};
	if (!value->set)
		return true;
	switch (kind) {
	case COLUMN_INTEGER:
	case COLUMN_BOOL:
		value->i = sqlite3_column_int64(cursor, place);
		if (kind == COLUMN_BOOL)
			value->i = value->i != 0;
		return type == SQLITE_INTEGER;
	case COLUMN_REAL:
		value->f = sqlite3_column_double(cursor, place);
		return type == SQLITE_FLOAT || type == SQLITE_INTEGER;
	default:
		value->s.ptr = (const char *)sqlite3_column_text(cursor, place);
		value->s.len = (size_t)sqlite3_column_bytes(cursor, place);
		if (kind == COLUMN_TIME)
			return timestamp_parse_stored(value->s.ptr, value->s.len, &value->i);
		return value->s.ptr != NULL;
	}
}

/* The daemon's answer for an old server's row without a document. The method lists all rows of the
 * user. The last column is the document, the first the id (except for a profile, which is a single
 * value). */
static int old_document(struct sqlite_end *end, const struct table_of *table, struct value *values,
	struct arena *arena, struct err *err)
{
	const struct statement *statement = &method_of(table->reader)->statements[BACKEND_SQLITE];
	const struct value *user = &values[row_column_place(table, "user_id")];
	struct value *document = &values[row_column_place(table, "document")];
	int last = sqlite3_column_count(end->reader) - 1, code;

	(void)sqlite3_reset(end->reader);
	for (int i = 0; i < statement->bind_count; i++) {
		const char *name = method_of(table->reader)->binds[statement->binds[i]].name;

		if (strcmp(name, "user_id") == 0)
			(void)sqlite3_bind_text(end->reader, i + 1, user->s.ptr, (int)user->s.len,
				SQLITE_TRANSIENT);
		else if (strcmp(name, "limit") == 0)
			(void)sqlite3_bind_int64(end->reader, i + 1, INT64_MAX);
	}
	while ((code = sqlite3_step(end->reader)) == SQLITE_ROW) {
		const char *id = (const char *)sqlite3_column_text(end->reader, 0);

		if (last > 0 &&
			(id == NULL || strlen(id) != values[0].s.len ||
				memcmp(id, values[0].s.ptr, values[0].s.len) != 0))
			continue;
		document->s.len = (size_t)sqlite3_column_bytes(end->reader, last);
		document->s.ptr =
			arena_copy(arena, sqlite3_column_text(end->reader, last), document->s.len);
		document->set = document->s.ptr != NULL;
		break;
	}
	(void)sqlite3_reset(end->reader);
	return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : sqlite_end_failed(end, table, err);
}

static int sqlite_end_next(struct end *base, const struct table_of *table, struct value *values,
	struct arena *arena, struct err *err)
{
	struct sqlite_end *end = sqlite_end_self(base);
	int code = sqlite3_step(end->cursor);

	if (code == SQLITE_DONE) {
		sqlite_end_drop(&end->cursor);
		sqlite_end_drop(&end->reader);
		return 0;
	}
	if (code != SQLITE_ROW)
		return sqlite_end_failed(end, table, err);
	for (unsigned i = 0; i < table->column_count; i++)
		if (!sqlite_end_fetch(end->cursor, (int)i, table->columns[i].kind, &values[i]))
			return row_fail(table, values, base->shown, err,
				"%s has a value of the wrong type", table->columns[i].name);
	if (table->reader != NULL && !values[row_column_place(table, "document")].set &&
		old_document(end, table, values, arena, err) < 0)
		return -1;
	return 1;
}

/* Writing */

static int sqlite_end_write_table(struct end *base, const struct table_of *table, struct err *err)
{
	struct sqlite_end *end = sqlite_end_self(base);
	struct buffer sql = {0};
	int result;

	if (table->method != NULL) {
		result = sqlite_end_prepare(end, table,
			method_of(table->method)->statements[BACKEND_SQLITE].sql, &end->insert,
			err);
		return result == 0 && table->after != NULL
			? sqlite_end_prepare(end, table, table->after, &end->after, err)
			: result;
	}
	buffer_text(&sql, "INSERT INTO ");
	buffer_text(&sql, table->name);
	for (unsigned i = 0; i < table->column_count; i++) {
		buffer_text(&sql, i == 0 ? " (" : ", ");
		buffer_text(&sql,
			table->columns[i].stored != NULL ? table->columns[i].stored
							 : table->columns[i].name);
	}
	for (unsigned i = 0; i < table->column_count; i++) {
		buffer_text(&sql, i == 0 ? ") VALUES (" : ", ");
		buffer_text(&sql, table->columns[i].set != NULL ? table->columns[i].set : "?");
	}
	buffer_append(&sql, ")", 2);
	result = sqlite_end_prepare(end, table, sql.data, &end->insert, err);
	buffer_free(&sql);
	return result;
}

static void bind(sqlite3_stmt *statement, int place, enum kind kind, const struct value *value)
{
	char text[TIMESTAMP_TEXT_MAX];

	if (!value->set) {
		(void)sqlite3_bind_null(statement, place);
		return;
	}
	switch (kind) {
	case COLUMN_INTEGER:
	case COLUMN_BOOL:
		(void)sqlite3_bind_int64(statement, place, value->i);
		break;
	case COLUMN_REAL:
		(void)sqlite3_bind_double(statement, place, value->f);
		break;
	case COLUMN_TIME:
		(void)sqlite3_bind_text(statement, place, text,
			(int)timestamp_format_stored(value->i, text), SQLITE_TRANSIENT);
		break;
	default:
		(void)sqlite3_bind_text(
			statement, place, value->s.ptr, (int)value->s.len, SQLITE_STATIC);
		break;
	}
}

static const char *column_for(const struct table_of *table, const char *slot)
{
	for (unsigned i = 0;
		i < sizeof table->binds / sizeof table->binds[0] && table->binds[i].slot != NULL;
		i++)
		if (strcmp(table->binds[i].slot, slot) == 0)
			return table->binds[i].column;
	return NULL;
}

static void bind_method(
	sqlite3_stmt *statement, const struct table_of *table, const struct value *values)
{
	const struct method *method = method_of(table->method);
	const struct statement *known = &method->statements[BACKEND_SQLITE];

	for (int i = 0; i < known->bind_count; i++) {
		const char *name = column_for(table, method->binds[known->binds[i]].name);
		int place = row_column_place(table, name != NULL ? name : "");

		bind(statement, i + 1, table->columns[place].kind, &values[place]);
	}
}

static void bind_named(
	sqlite3_stmt *statement, const struct table_of *table, const struct value *values)
{
	for (int i = 1; i <= sqlite3_bind_parameter_count(statement); i++) {
		int place = row_column_place(table, sqlite3_bind_parameter_name(statement, i) + 1);

		bind(statement, i, table->columns[place].kind, &values[place]);
	}
}

static int sqlite_end_run(struct sqlite_end *end, sqlite3_stmt *statement,
	const struct table_of *table, const struct value *values, struct err *err)
{
	int code;

	do
		code = sqlite3_step(statement);
	while (code == SQLITE_ROW); /* RETURNING */
	if (code == SQLITE_DONE && sqlite3_reset(statement) == SQLITE_OK)
		return 0;
	return row_fail(table, values, end->end.shown, err, "%s", sqlite3_errmsg(end->session.db));
}

static int sqlite_end_put(
	struct end *base, const struct table_of *table, const struct value *values, struct err *err)
{
	struct sqlite_end *end = sqlite_end_self(base);

	if (table->method != NULL)
		bind_method(end->insert, table, values);
	else
		for (unsigned i = 0; i < table->column_count; i++)
			bind(end->insert, (int)i + 1, table->columns[i].kind, &values[i]);
	if (sqlite_end_run(end, end->insert, table, values, err) < 0)
		return -1;
	if (end->after == NULL)
		return 0;
	bind_named(end->after, table, values);
	return sqlite_end_run(end, end->after, table, values, err);
}

static int sqlite_end_written(struct end *base, const struct table_of *table, struct err *err)
{
	struct sqlite_end *end = sqlite_end_self(base);
	const char *sql = table->end[BACKEND_SQLITE];

	sqlite_end_drop(&end->insert);
	sqlite_end_drop(&end->after);
	return sql == NULL || sqlite3_exec(end->session.db, sql, NULL, NULL, NULL) == SQLITE_OK
		? 0
		: sqlite_end_failed(end, table, err);
}

static int sqlite_end_commit(struct end *base, struct err *err)
{
	struct sqlite_end *end = sqlite_end_self(base);

	if (sqlite3_exec(end->session.db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK ||
		sqlite3_wal_checkpoint_v2(
			end->session.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
		return sqlite_end_failed(end, NULL, err);
	return 0;
}

static void sqlite_end_close_end(struct end *base)
{
	struct sqlite_end *end = sqlite_end_self(base);

	sqlite_end_drop(&end->cursor);
	sqlite_end_drop(&end->reader);
	sqlite_end_drop(&end->insert);
	sqlite_end_drop(&end->after);
	session_close(&end->session);
	place_free(&end->place);
	free(end);
}

static const struct end_ops ops = {sqlite_end_count, sqlite_end_read_table, sqlite_end_next,
	sqlite_end_write_table, sqlite_end_put, sqlite_end_written, sqlite_end_commit,
	sqlite_end_close_end};

/* Opening */

/* A row whose parent is missing. PostgreSQL would refuse it after its whole table, and a log
 * entry's session would be lost silently. */
static int refuse_orphans(struct sqlite_end *end, const struct table_of *table, struct err *err)
{
	struct value id[1] = {0};
	char sql[256];
	int code;

	(void)snprintf(sql, sizeof sql,
		"SELECT t.%s, f.parent FROM pragma_foreign_key_check('%s') f JOIN %s t ON "
		"t.rowid = f.rowid LIMIT 1",
		table->columns[0].name, table->name, table->name);
	if (sqlite_end_prepare(end, table, sql, &end->cursor, err) < 0)
		return -1;
	code = sqlite3_step(end->cursor);
	if (code == SQLITE_ROW) {
		(void)sqlite_end_fetch(end->cursor, 0, table->columns[0].kind, &id[0]);
		return row_fail(table, id, end->end.shown, err, "it refers to a missing row of %s",
			sqlite3_column_text(end->cursor, 1));
	}
	sqlite_end_drop(&end->cursor);
	return code == SQLITE_DONE ? 0 : sqlite_end_failed(end, table, err);
}

static int sqlite_end_open_source(struct sqlite_end *end, const char *path, struct err *err)
{
	if (session_open(&end->session, path, SESSION_READ, end->end.seal, err) < 0)
		return -1;
	if (sqlite3_exec(end->session.db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_end_failed(end, NULL, err);
	if (end_schema_must_be(migrate_version(&end->session, err),
		    migration_newest(sqlite_migrations), end->end.shown, err) < 0 ||
		keys_prove(&end->session, err) < 0 ||
		keys_read_format(&end->session, &end->end.format, err) < 0)
		return -1;
	for (const struct table_of *table = transfer_tables + 1; table->name != NULL; table++)
		if (table->from[BACKEND_SQLITE] == NULL && refuse_orphans(end, table, err) < 0)
			return -1;
	return 0;
}

struct emptiness {
	int64_t version;
	struct err *err;
};

static int table_is_empty(void *argument, const char *name, int64_t rows)
{
	const struct emptiness *emptiness = argument;

	return end_table_must_be_empty(emptiness->version, name, rows, emptiness->err);
}

/* Uses a read-only connection: a writing one would change the file. */
static int sqlite_end_target_must_be_empty(
	struct sqlite_end *end, const char *path, struct err *err)
{
	struct emptiness emptiness = {.err = err};
	int code = -1;

	if (end->place.status.st_size == 0)
		return 0;
	if (session_open(&end->session, path, SESSION_READ, end->end.seal, err) == 0 &&
		migrate_check(&end->session, false, err) == 0 &&
		(emptiness.version = migrate_version(&end->session, err)) >= 0) {
		code = session_count_tables(end->session.db, table_is_empty, &emptiness);
		if (code != SQLITE_OK)
			code = code == SQLITE_ABORT ? -1 : sqlite_end_failed(end, NULL, err);
	}
	session_close(&end->session);
	return code;
}

static int sqlite_end_open_target(struct sqlite_end *end, const char *path, struct err *err)
{
	if (sqlite_end_target_must_be_empty(end, path, err) < 0 ||
		session_open(&end->session, path, SESSION_WRITE, end->end.seal, err) < 0 ||
		migrate_apply(&end->session, NULL, NULL, err) < 0 ||
		keys_prove(&end->session, err) < 0 || keys_begin(&end->session, err) < 0 ||
		keys_read_format(&end->session, &end->end.format, err) < 0)
		return -1;
	/* The daemon's other facts are copied from the source. */
	if (sqlite3_exec(end->session.db,
		    "BEGIN IMMEDIATE; DELETE FROM pierre_meta WHERE key <> 'token_format'", NULL,
		    NULL, NULL) != SQLITE_OK)
		return sqlite_end_failed(end, NULL, err);
	return 0;
}

int sqlite_end_open(
	struct end **ret, const char *url, bool target, struct seal *seal, struct err *err)
{
	struct sqlite_end *end = calloc(1, sizeof *end);
	int result;

	if (end == NULL)
		return err_exit(err, EX_OSERR, "out of memory");
	end->end = (struct end){.ops = &ops, .shown = url, .seal = seal};
	result = (target ? place_open : place_find)(&end->place, url, err);
	if (result == 0 && end->place.path == NULL)
		result = err_exit(err, EX_CONFIG, "%s names no file", url);
	if (result == 0 && target && end->place.status.st_size == 0)
		result = path_give_to_owner(end->place.fd, end->place.path, err);
	if (result == 0)
		result = target ? sqlite_end_open_target(end, end->place.path, err)
				: sqlite_end_open_source(end, end->place.path, err);
	if (result < 0) {
		sqlite_end_close_end(&end->end);
		return -1;
	}
	*ret = &end->end;
	return 0;
}
