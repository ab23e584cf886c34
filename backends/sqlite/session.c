#include "session.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "../../protocol/sqlite_url.h"
#include "../execute.h"
#include "functions.h"
#include "files/vfs.h"

/* No memory-mapped reads: a file that is truncated meanwhile would end the process instead of
 * returning an error. */
enum { CACHE_KIB = 32768 };

const char *session_reason(int code)
{
	if (code == SQLITE_READONLY_ROLLBACK)
		return "a write to it was interrupted: a program with write access must open it "
		       "first, as the daemon does at its start";
	switch (code & 0xFF) {
	case SQLITE_FULL:
		return "the disk is full";
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return "the database is read-only";
	case SQLITE_CORRUPT:
		return "the database is damaged";
	case SQLITE_NOTADB:
		return "the file is not an SQLite database";
	case SQLITE_CANTOPEN:
		return "the database file cannot be opened";
	case SQLITE_IOERR:
		return "reading or writing the database failed (I/O error)";
	case SQLITE_PROTOCOL:
		return "the database could not be locked";
	default:
		return sqlite3_errstr(code);
	}
}

static const char locked[] = "another program, such as the old server, holds a lock on the "
			     "database: stop it, then start again";

static int open_error(struct err *err, int code, const char *path)
{
	int exit_code = EX_IOERR;

	switch (code & 0xFF) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		exit_code = EX_DATAERR;
		break;
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
		exit_code = EX_CANTCREAT;
		break;
	case SQLITE_BUSY:
		exit_code = EX_TEMPFAIL;
		break;
	default:
		break;
	}
	return err_exit(err, exit_code, "%s: %s", path,
		code == SQLITE_BUSY ? locked : session_reason(code));
}

static const char settings_sql[] =
	"PRAGMA busy_timeout=5000;"
	"PRAGMA synchronous=FULL;"
	"PRAGMA foreign_keys=ON;"
	"PRAGMA temp_store=MEMORY;"
	"PRAGMA trusted_schema=ON;" /* the generated columns use only built-in functions; the old
                                       server's schema may not declare that */
	"PRAGMA wal_autocheckpoint=0;"; /* see checkpoint.c */

static int session_prepare(struct session *session, const char *sql, sqlite3_stmt **statement)
{
	return sqlite3_prepare_v3(session->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
}

static int note_wal(void *argument, sqlite3 *db, const char *name, int pages)
{
	(void)db;
	(void)name;
	((struct session *)argument)->wal_pages = pages;
	return SQLITE_OK;
}

static int configure(struct session *session, enum session_mode mode)
{
	char sql[96];
	int code = SQLITE_OK;

	/* Before the first read: the log's index is then in memory, not in a file. */
	if (mode == SESSION_ALONE)
		code = sqlite3_exec(session->db, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(session->db, settings_sql, NULL, NULL, NULL);
	if (code == SQLITE_OK && mode == SESSION_WRITE)
		code = sqlite3_exec(session->db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
	if (code == SQLITE_OK) {
		sqlite3_snprintf(
			sizeof sql, sql, "PRAGMA cache_size=-%d; PRAGMA mmap_size=0", CACHE_KIB);
		code = sqlite3_exec(session->db, sql, NULL, NULL, NULL);
	}
	if (code == SQLITE_OK)
		code = functions_add(session->db);
	if (mode == SESSION_WRITE)
		sqlite3_wal_hook(session->db, note_wal, session);
	if (code == SQLITE_OK)
		code = session_prepare(session,
			mode == SESSION_WRITE || mode == SESSION_MEMORY ? "BEGIN IMMEDIATE"
									: "BEGIN",
			&session->begin);
	if (code == SQLITE_OK)
		code = session_prepare(session, "COMMIT", &session->commit);
	if (code == SQLITE_OK)
		code = session_prepare(session, "ROLLBACK", &session->rollback);
	return code;
}

static int open_by_mode(struct session *session, const char *path, enum session_mode mode)
{
	const int common = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	char url[3 * PATH_MAX + 32];
	int code;

	switch (mode) {
	case SESSION_FIXED:
		if (!sqlite_url_of_file(path, url, sizeof url - sizeof "?immutable=1"))
			return SQLITE_CANTOPEN;
		memcpy(url + 2, "file:", 5); /* replaces "sqlite:" */
		memcpy(url + strlen(url), "?immutable=1", sizeof "?immutable=1");
		return sqlite3_open_v2(url + 2, &session->db,
			common | SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
	case SESSION_ALONE:
		code = sqlite3_open_v2(path, &session->db, common | SQLITE_OPEN_READWRITE, NULL);
		if (code == SQLITE_OK)
			code = sqlite3_db_config(
				session->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		return code;
	case SESSION_READ:
		return sqlite3_open_v2(path, &session->db, common | SQLITE_OPEN_READONLY, NULL);
	case SESSION_WRITE:
	case SESSION_MEMORY:
		break;
	}
	return sqlite3_open_v2(mode == SESSION_MEMORY ? ":memory:" : path, &session->db,
		common | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
		mode == SESSION_WRITE ? vfs_name() : NULL);
}

int session_open(struct session *session, const char *path, enum session_mode mode,
	struct seal *seal, struct err *err)
{
	int code;

	*session = (struct session){.seal = seal};
	session->statements = calloc(catalog_statement_count, sizeof *session->statements);
	if (session->statements == NULL)
		return err_exit(err, EX_OSERR, "out of memory");
	code = open_by_mode(session, path, mode);
	if (code == SQLITE_OK)
		code = configure(session, mode);
	if (code != SQLITE_OK) {
		open_error(err, code, path);
		session_close(session);
		return -1;
	}
	return 0;
}

int session_keep(struct session *session, const char *sql, sqlite3_stmt **statement)
{
	size_t i = 0;

	while (i < SESSION_KEPT && session->kept[i].sql != NULL && session->kept[i].sql != sql)
		i++;
	*statement = NULL;
	if (i == SESSION_KEPT)
		return SQLITE_FULL;
	if (session->kept[i].statement == NULL) {
		int code = session_prepare(session, sql, &session->kept[i].statement);

		if (code != SQLITE_OK)
			return code;
		session->kept[i].sql = sql;
	}
	*statement = session->kept[i].statement;
	return SQLITE_OK;
}

void session_close(struct session *session)
{
	if (session->statements != NULL)
		for (size_t i = 0; i < catalog_statement_count; i++)
			sqlite3_finalize(session->statements[i]);
	free(session->statements);
	for (size_t i = 0; i < SESSION_KEPT; i++)
		sqlite3_finalize(session->kept[i].statement);
	sqlite3_finalize(session->begin);
	sqlite3_finalize(session->commit);
	sqlite3_finalize(session->rollback);
	/* A late interrupt would prevent the close from moving the log into the database. */
	(void)sqlite3_exec(session->db, "SELECT 1", NULL, NULL, NULL);
	sqlite3_close(session->db);
	*session = (struct session){0};
}

int session_step(sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);

	sqlite3_reset(statement);
	return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

int64_t session_integer(struct session *session, const char *sql)
{
	sqlite3_stmt *statement;
	int64_t value = -1;

	if (sqlite3_prepare_v2(session->db, sql, -1, &statement, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(statement) == SQLITE_ROW)
		value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return value;
}

int session_find_table(struct session *session, const char *name)
{
	char sql[128];

	sqlite3_snprintf(sizeof sql, sql,
		"SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = %Q "
		"COLLATE NOCASE",
		name);
	return (int)session_integer(session, sql);
}

bool session_has_table(struct session *session, const char *name)
{
	return session_find_table(session, name) > 0;
}

int session_count_tables(
	sqlite3 *db, int (*each)(void *argument, const char *name, int64_t rows), void *argument)
{
	sqlite3_stmt *tables = NULL, *count = NULL;
	int code = sqlite3_prepare_v2(db,
		"SELECT name, printf('SELECT count(*) FROM \"%w\"', name) FROM sqlite_schema "
		"WHERE type = 'table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@' ORDER BY name",
		-1, &tables, NULL);

	while (code == SQLITE_OK && (code = sqlite3_step(tables)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(tables, 0),
			   *sql = (const char *)sqlite3_column_text(tables, 1);

		code = name != NULL && sql != NULL ? sqlite3_prepare_v2(db, sql, -1, &count, NULL)
						   : SQLITE_NOMEM;
		if (code == SQLITE_OK && (code = sqlite3_step(count)) == SQLITE_ROW)
			code = each(argument, name, sqlite3_column_int64(count, 0)) == 0
				? SQLITE_OK
				: SQLITE_ABORT;
		sqlite3_finalize(count);
		count = NULL;
	}
	sqlite3_finalize(tables);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

int session_failed(struct session *session, const char *what, struct err *err)
{
	int code = sqlite3_extended_errcode(session->db);
	int exit_code = (code & 0xFF) == SQLITE_CORRUPT || (code & 0xFF) == SQLITE_NOTADB
		? EX_DATAERR
		: (code & 0xFF) == SQLITE_BUSY     ? EX_TEMPFAIL
		: (code & 0xFF) == SQLITE_READONLY ? EX_CANTCREAT
						   : EX_IOERR;

	/* Where SQLite has no error, an allocation between its statements has failed. */
	return err_exit(err, exit_code, "%s: %s", what,
		code == SQLITE_OK                      ? "out of memory"
			: (code & 0xFF) == SQLITE_BUSY ? locked
						       : session_reason(code));
}

/* The columns must match the row schema by name and order: this compares the SQL file with the
 * catalog. */
static bool session_columns_match(sqlite3_stmt *statement, const struct row_schema *row_schema)
{
	int count = row_schema != NULL ? row_schema->column_count : 0;

	if (sqlite3_column_count(statement) != count)
		return false;
	for (int i = 0; i < count; i++)
		if (strcmp(sqlite3_column_name(statement, i), row_schema->columns[i].name) != 0)
			return false;
	return true;
}

static int session_statement_of(
	struct session *session, const struct method *method, sqlite3_stmt **statement)
{
	sqlite3_stmt **place = &session->statements[method->index];
	int code;

	if (*place == NULL) {
		code = session_prepare(session, method->statements[BACKEND_SQLITE].sql, place);
		if (code != SQLITE_OK)
			return code;
		if (!session_columns_match(*place, method->row_schema)) {
			sqlite3_finalize(*place);
			*place = NULL;
			return SQLITE_MISMATCH;
		}
	}
	*statement = *place;
	return SQLITE_OK;
}

int session_prepare_all(struct session *session, struct err *err)
{
	sqlite3_stmt *statement;

	for (size_t i = 0; i < catalog_statement_count; i++) {
		const struct method *method = &catalog_methods[i];

		if (method->statements[BACKEND_SQLITE].sql != NULL &&
			session_statement_of(session, method, &statement) != SQLITE_OK)
			return err_set(err, ERR_INTERNAL, "%s: %s", method->name,
				sqlite3_errmsg(session->db));
	}
	return 0;
}

/* Copies texts into the call's arena, which outlives the statement's run. A time takes its stored
 * form there. */
static int bind_value(sqlite3_stmt *statement, int place, struct call *call,
	const struct bind_param *bind, const struct value *value)
{
	char *text;

	if (!value->set)
		return sqlite3_bind_null(statement, place);
	switch ((enum type)bind->type) {
	case TYPE_BOOL:
	case TYPE_U16:
	case TYPE_U32:
	case TYPE_I64:
		return sqlite3_bind_int64(statement, place, value->i);
	case TYPE_F64:
		return sqlite3_bind_double(statement, place, value->f);
	case TYPE_TIMESTAMP:
		text = arena_alloc(&call->arena, TIMESTAMP_TEXT_MAX);
		if (text == NULL)
			return SQLITE_NOMEM;
		return sqlite3_bind_text(statement, place, text,
			(int)timestamp_format_stored(value->i, text), SQLITE_STATIC);
	default:
		return sqlite3_bind_text64(
			statement, place, value->s.ptr, value->s.len, SQLITE_STATIC, SQLITE_UTF8);
	}
}

static int bind_call(sqlite3_stmt *statement, const struct method *method, struct call *call)
{
	const struct statement *source = &method->statements[BACKEND_SQLITE];
	int code = SQLITE_OK;

	for (unsigned i = 0; code == SQLITE_OK && i < source->bind_count; i++)
		code = bind_value(statement, (int)i + 1, call, &method->binds[source->binds[i]],
			&call->values[source->binds[i]]);
	return code;
}

/* Programs that treat SQLite values as text write 'true' and 'false', which are valid. */
static bool session_read_integer(
	sqlite3_stmt *statement, int place, int stored, enum type type, int64_t *value)
{
	const char *text;

	if (stored == SQLITE_INTEGER) {
		*value = sqlite3_column_int64(statement, place);
		return value_integer_in_range(type, *value);
	}
	if (type != TYPE_BOOL || stored != SQLITE_TEXT)
		return false;
	text = (const char *)sqlite3_column_text(statement, place);
	*value = text != NULL && sqlite3_stricmp(text, "true") == 0;
	return text != NULL && (*value != 0 || sqlite3_stricmp(text, "false") == 0);
}

static bool session_read_text(
	sqlite3_stmt *statement, int place, int stored, enum type type, struct value *value)
{
	int64_t micros;

	if (stored != SQLITE_TEXT)
		return false;
	value->s.ptr = (const char *)sqlite3_column_text(statement, place);
	value->s.len = (size_t)sqlite3_column_bytes(statement, place);
	if (value->s.ptr == NULL)
		return false;
	if (type != TYPE_TIMESTAMP)
		return utf8_valid(value->s.ptr,
			value->s.len); /* a damaged page must not produce a damaged answer */
	if (!timestamp_parse_stored(value->s.ptr, value->s.len, &micros))
		return false;
	value->i = micros;
	return true;
}

/* False: the row holds a value of the wrong type, or NULL where a value is required. */
static bool read_column(
	sqlite3_stmt *statement, int place, const struct column *column, struct value *value)
{
	int stored = sqlite3_column_type(statement, place);

	value->set = stored != SQLITE_NULL;
	value->flags = 0;
	if (!value->set)
		return column->nullable;
	switch ((enum type)column->type) {
	case TYPE_BOOL:
	case TYPE_U16:
	case TYPE_U32:
	case TYPE_I64:
		return session_read_integer(
			statement, place, stored, (enum type)column->type, &value->i);
	case TYPE_F64:
		value->f = sqlite3_column_double(statement, place);
		return (stored == SQLITE_FLOAT || stored == SQLITE_INTEGER) && isfinite(value->f);
	default:
		return session_read_text(statement, place, stored, (enum type)column->type, value);
	}
}

/* Reads all columns even if one is invalid: the row's id may come later. */
static int session_read_row(struct session *session, sqlite3_stmt *statement, struct call *call)
{
	const struct row_schema *row_schema = call->method->row_schema;
	struct value columns[CATALOG_MAX_COLUMNS];
	int wrong = -1;

	for (int i = 0; i < row_schema->column_count; i++) {
		if (read_column(statement, i, &row_schema->columns[i], &columns[i]))
			continue;
		if (sqlite3_errcode(session->db) == SQLITE_NOMEM)
			return execute_fail(call, ERR_INTERNAL,
				"out of memory; nothing of the call was stored");
		columns[i].set = false;
		wrong = wrong < 0 ? i : wrong;
	}
	if (wrong >= 0)
		return execute_bad_row(call, columns, row_schema->columns[wrong].name);
	return execute_row(call, session->seal, columns);
}

/* A value of the wrong type, or stored text that is not JSON, aborted the statement. */
static bool session_unsound(struct call *call, const char *message)
{
	char column[64];
	const char *id = functions_unsound(message, column, sizeof column);

	if (id != NULL) {
		execute_bad_value(call, id, strlen(id), column);
		return true;
	}
	if (strstr(message, "JSON") == NULL)
		return false;
	execute_bad_row(call, NULL, "document");
	return true;
}

enum run_result session_run_failed(struct session *session, struct call *call, int code)
{
	const char *message = sqlite3_errmsg(session->db);
	const char *names = strstr(message, "failed: ");

	switch (code) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID:
		execute_conflict(call, names != NULL ? names + strlen("failed: ") : "");
		return RUN_DONE;
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		execute_no_row(call);
		return RUN_DONE;
	default:
		break;
	}
	if ((code & 0xFF) == SQLITE_ERROR && functions_unexpected(message)) {
		execute_unexpected(call);
		return RUN_DONE;
	}
	if ((code & 0xFF) == SQLITE_ERROR && functions_no_parent(message) != NULL) {
		execute_no_row(call);
		(void)snprintf(
			call->err.path, sizeof call->err.path, "%s", functions_no_parent(message));
		return RUN_DONE;
	}
	if ((code & 0xFF) == SQLITE_ERROR && session_unsound(call, message))
		return RUN_DONE;
	switch (code & 0xFF) {
	case SQLITE_INTERRUPT:
		return RUN_INTERRUPTED;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return RUN_BUSY;
	case SQLITE_NOMEM:
		execute_fail(call, ERR_INTERNAL, "out of memory; nothing of the call was stored");
		return RUN_DONE;
	case SQLITE_TOOBIG:
		if (session->max != 0)
			return RUN_INTERRUPTED;
		execute_fail(call, ERR_TOO_LARGE, "a value is larger than the database accepts");
		return RUN_DONE;
	case SQLITE_FULL:
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
	case SQLITE_PROTOCOL:
		execute_fail(call, ERR_STORAGE, "%s", session_reason(code));
		return RUN_BROKEN;
	default:
		execute_fail(call, ERR_INTERNAL, "%s failed within the database (SQLite code %d)",
			call->method->name, code);
		return RUN_DONE;
	}
}

/* SQLite refuses a longer value before it reads all of its pages. */
void session_bound(struct session *session, size_t max)
{
	session->max = max;
	(void)sqlite3_limit(session->db, SQLITE_LIMIT_LENGTH, (int)max);
}

/* The statement of `method` with the call's values, ready to step. */
static int session_begin_statement(struct session *session, const struct method *method,
	struct call *call, sqlite3_stmt **statement)
{
	int code = session_statement_of(session, method, statement);

	return code == SQLITE_OK ? bind_call(*statement, method, call) : code;
}

static enum run_result session_not_begun(struct session *session, struct call *call, int code)
{
	if (code != SQLITE_MISMATCH)
		return session_run_failed(session, call, code);
	execute_fail(call, ERR_INTERNAL, "%s: the statement's columns do not match the answer's",
		call->method->name);
	return RUN_DONE;
}

/* Runs a statement whose rows are the call's answer. */
static enum run_result session_answer(
	struct session *session, const struct method *method, struct call *call)
{
	sqlite3_stmt *statement = NULL;
	int code = session_begin_statement(session, method, call, &statement);

	if (code != SQLITE_OK)
		return session_not_begun(session, call, code);
	execute_begin(call);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		if (session_read_row(session, statement, call) < 0)
			break;
		if (session->max != 0 && call->answer.length > session->max) {
			code = SQLITE_TOOBIG;
			break;
		}
	}
	if (code == SQLITE_DONE)
		execute_end(call, (uint64_t)sqlite3_changes64(session->db));
	else if (code != SQLITE_ROW) {
		enum run_result result = session_run_failed(session, call, code);

		sqlite3_reset(statement);
		return result;
	}
	sqlite3_reset(statement);
	return RUN_DONE;
}

/* Runs one of the statements before a call's own one. */
static enum run_result session_step_before(
	struct session *session, const struct method *method, struct call *call)
{
	sqlite3_stmt *statement = NULL;
	int code = session_begin_statement(session, method, call, &statement);
	enum run_result result = RUN_DONE;

	if (code != SQLITE_OK)
		return session_not_begun(session, call, code);
	code = session_step(statement);
	if (code != SQLITE_OK)
		result = session_run_failed(session, call, code);
	return result;
}

/* The writer undoes the rows before one that fails. */
static enum run_result session_run_rows(struct session *session, struct call *call)
{
	uint32_t count = execute_row_count(call);

	for (uint32_t row = 0; row < count; row++) {
		enum run_result result;
		char member[sizeof call->err.path];

		execute_load_row(call, row);
		result = session_step_before(session, call->method, call);
		if (call->err.kind == ERR_NOT_FOUND) {
			memcpy(member, call->err.path, sizeof member);
			execute_no_parent(call, row, *member != '\0' ? member : NULL);
		}
		if (result != RUN_DONE || call->err.kind != ERR_NONE)
			return result;
	}
	execute_begin(call);
	execute_end(call, count);
	return RUN_DONE;
}

enum run_result session_run_fast(struct session *session, struct call *call)
{
	return session_answer(session, &catalog_methods[call->method->fast], call);
}

enum run_result session_run(struct session *session, struct call *call)
{
	for (unsigned i = 0; i < call->method->step_count; i++) {
		enum run_result result = session_step_before(
			session, &catalog_methods[call->method->steps + i], call);

		if (result != RUN_DONE || call->err.kind != ERR_NONE)
			return result;
	}
	return call->method->row_binds > 0 ? session_run_rows(session, call)
					   : session_answer(session, call->method, call);
}
