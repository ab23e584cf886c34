#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "keys.h"
#include "migrate.h"
#include "files/place.h"
#include "files/references.h"

static int sqlite_verify_failed(struct session *session, struct err *err)
{
	return session_failed(session, "the database cannot be read", err);
}

/* SQLite tells what is wrong with its pages and indexes in words of its own, which name tables and
 * numbers only. */
static int sqlite_verify_check_integrity(
	struct verify_report *report, struct session *session, struct err *err)
{
	sqlite3_stmt *statement = NULL;
	int code =
		sqlite3_prepare_v2(session->db, "PRAGMA integrity_check(20)", -1, &statement, NULL);

	while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(statement, 0);

		if (text == NULL || strcmp(text, "ok") != 0)
			verify_problem(report, "damaged: %s", text != NULL ? text : "?");
		code = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	if ((code & 0xFF) == SQLITE_CORRUPT) {
		verify_problem(report, "damaged: it cannot be read to its end");
		code = SQLITE_DONE;
	}
	return code == SQLITE_DONE ? 0 : sqlite_verify_failed(session, err);
}

static void note_reference(void *report, const char *table, const char *parent, int64_t rows)
{
	verify_problem(report, "%lld rows of %s refer to rows of %s that are not there",
		(long long)rows, table, parent);
}

static int check_references(struct verify_report *report, struct session *session, struct err *err)
{
	return references_each_dangling(session->db, note_reference, report) == SQLITE_OK
		? 0
		: sqlite_verify_failed(session, err);
}

static int count_table(void *report, const char *name, int64_t rows)
{
	verify_table(report, name, (uint64_t)rows);
	return 0;
}

static int sqlite_verify_check_tables(
	struct verify_report *report, struct session *session, struct err *err)
{
	verify_begin_tables(report);
	if (session_count_tables(session->db, count_table, report) != SQLITE_OK)
		return sqlite_verify_failed(session, err);
	verify_end_tables(report);
	if (!session_has_table(session, "users"))
		verify_problem(
			report, "it holds no table of users: it is not a database of this daemon");
	report->schema = migrate_version(session, err);
	return report->schema < 0 ? -1 : migrate_check(session, false, err);
}

/* What the contract says of a column that SQLite would hold anything in. Named by table and id,
 * never by what stands there. */
static const struct {
	const char *table, *id, *column, *good;
} rules[] = {
#define TIME(table, id, column)                                                                    \
	{                                                                                          \
		table, id, column, "micros(%1$s) IS NOT NULL"                                      \
	}
#define WHOLE(table, id, column, max)                                                              \
	{                                                                                          \
		table, id, column, "typeof(%1$s) = 'integer' AND %1$s BETWEEN 0 AND " max          \
	}
#define REAL(table, id, column)                                                                    \
	{                                                                                          \
		table, id, column, "typeof(%1$s) IN ('real', 'integer') AND abs(%1$s) < 9e999"     \
	}
#define FLAG(table, id, column)                                                                    \
	{                                                                                          \
		table, id, column, "%1$s IN (0, 1) OR lower(%1$s) IN ('true', 'false')"            \
	}
#define LIST(table, id, column)                                                                    \
	{                                                                                          \
		table, id, column,                                                                 \
			"CASE WHEN json_valid(%1$s) THEN json_type(%1$s) = 'array' ELSE 0 END"     \
	}
#define WHOLE_DOCUMENT(table, id, column)                                                          \
	{                                                                                          \
		table, id, column,                                                                 \
			"CASE WHEN json_valid(%1$s) THEN json_type(%1$s) = 'object' ELSE 0 END"    \
	}
#define WORD(table, id, column)                                                                    \
	{                                                                                          \
		table, id, column,                                                                 \
			"typeof(%1$s) = 'text' AND instr(CAST(%1$s AS BLOB), x'00') = 0"           \
	}
	WORD("users", "id", "email"),
	WORD("users", "id", "display_name"),
	WORD("users", "id", "password_hash"),
	TIME("users", "id", "created_at"),
	TIME("users", "id", "last_active"),
	FLAG("users", "id", "is_active"),
	TIME("users", "id", "strava_expires_at"),
	TIME("users", "id", "fitbit_expires_at"),
	REAL("user_profiles", "user_id", "weight_kg"),
	REAL("user_profiles", "user_id", "height_cm"),
	REAL("user_profiles", "user_id", "hours_per_week"),
	WHOLE("user_profiles", "user_id", "age", "9223372036854775807"),
	WHOLE_DOCUMENT("user_profiles", "user_id", "document"),
	REAL("goals", "id", "target_value"),
	REAL("goals", "id", "current_value"),
	TIME("goals", "id", "created_at"),
	TIME("goals", "id", "updated_at"),
	WORD("goals", "id", "title"),
	WHOLE_DOCUMENT("goals", "id", "document"),
	TIME("analytics_insights", "id", "created_at"),
	REAL("analytics_insights", "id", "confidence"),
	WHOLE_DOCUMENT("analytics_insights", "id", "document"),
	WORD("api_keys", "id", "name"),
	WHOLE("api_keys", "id", "rate_limit_requests", "4294967295"),
	WHOLE("api_keys", "id", "rate_limit_window", "4294967295"),
	FLAG("api_keys", "id", "is_active"),
	TIME("api_keys", "id", "last_used_at"),
	TIME("api_keys", "id", "expires_at"),
	TIME("api_keys", "id", "created_at"),
	TIME("api_keys", "id", "updated_at"),
	TIME("api_key_usage", "id", "timestamp"),
	WORD("api_key_usage", "id", "tool_name"),
	WHOLE("api_key_usage", "id", "status_code", "65535"),
	WHOLE("api_key_usage", "id", "response_time_ms", "4294967295"),
	WHOLE("api_key_usage", "id", "request_size_bytes", "4294967295"),
	WHOLE("api_key_usage", "id", "response_size_bytes", "4294967295"),
	WORD("a2a_clients", "id", "name"),
	LIST("a2a_clients", "id", "capabilities"),
	LIST("a2a_clients", "id", "redirect_uris"),
	FLAG("a2a_clients", "id", "is_active"),
	TIME("a2a_clients", "id", "created_at"),
	LIST("a2a_sessions", "id", "granted_scopes"),
	TIME("a2a_sessions", "id", "created_at"),
	TIME("a2a_sessions", "id", "expires_at"),
	TIME("a2a_sessions", "id", "last_activity"),
	FLAG("a2a_sessions", "id", "is_active"),
	TIME("a2a_tasks", "id", "created_at"),
	TIME("a2a_tasks", "id", "started_at"),
	TIME("a2a_tasks", "id", "completed_at"),
	{"a2a_tasks", "id", "input_data", "json_valid(%1$s)"},
	{"a2a_tasks", "id", "result_data", "json_valid(%1$s)"},
	TIME("a2a_usage", "id", "timestamp"),
	WORD("a2a_usage", "id", "tool_name"),
	WHOLE("a2a_usage", "id", "status_code", "65535"),
	WHOLE("a2a_usage", "id", "response_time_ms", "4294967295"),
	LIST("a2a_usage", "id", "client_capabilities"),
	LIST("a2a_usage", "id", "granted_scopes"),
};

enum { ROWS_NAMED = 5 };

static int check_column(
	struct verify_report *report, struct session *session, unsigned rule, struct err *err)
{
	char good[320], sql[640];
	sqlite3_stmt *statement = NULL;
	const char *column = rules[rule].column, *format = rules[rule].good;
	size_t length = 0;
	int code;

	for (; *format != '\0'; format += strncmp(format, "%1$s", 4) == 0 ? 4 : 1)
		length += (size_t)snprintf(good + length, sizeof good - length, "%.*s",
			strncmp(format, "%1$s", 4) == 0 ? (int)strlen(column) : 1,
			strncmp(format, "%1$s", 4) == 0 ? column : format);
	(void)snprintf(sql, sizeof sql,
		"SELECT %s, rowid, count(*) OVER () FROM %s WHERE %s IS NOT NULL AND "
		"COALESCE(NOT (%s), 1) LIMIT %d",
		rules[rule].id, rules[rule].table, column, good, ROWS_NAMED);
	code = sqlite3_prepare_v2(session->db, sql, -1, &statement, NULL);
	if (code == SQLITE_ERROR)
		return 0; /* an older schema has not the column */
	while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *id = (const char *)sqlite3_column_text(statement, 0);

		verify_problem(report,
			"row \"%.100s\" (rowid %lld) of %s: %s is not what it should be (%lld "
			"such rows)",
			id != NULL ? id : "", (long long)sqlite3_column_int64(statement, 1),
			rules[rule].table, column, (long long)sqlite3_column_int64(statement, 2));
		code = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	return code == SQLITE_DONE ? 0 : sqlite_verify_failed(session, err);
}

static int check_values(struct verify_report *report, struct session *session, struct err *err)
{
	for (unsigned i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (check_column(report, session, i, err) < 0)
			return -1;
	return 0;
}

static int check_tokens(
	struct verify_report *report, struct session *session, struct seal *seal, struct err *err)
{
	struct verify_look look = {report, seal, err};
	struct err wrong = {0};

	if (keys_prove(session, &wrong) < 0) {
		report->wrong_key = wrong.exit_code == EX_NOPERM;
		verify_problem(report, "%s", wrong.message);
	}
	if (!session_has_table(session, "users"))
		return 0;
	return keys_each_token(session, verify_look_at_token, &look, err);
}

/* One after the other, and no further than a damaged file can be read. */
static int sqlite_verify_look_at_all(
	struct verify_report *report, struct session *session, struct seal *seal, struct err *err)
{
	if (sqlite_verify_check_integrity(report, session, err) < 0)
		return -1;
	if (report->problem_count > 0)
		return 0;
	if (check_references(report, session, err) < 0 ||
		sqlite_verify_check_tables(report, session, err) < 0 ||
		check_values(report, session, err) < 0)
		return -1;
	return check_tokens(report, session, seal, err);
}

int verify_sqlite(struct verify_report *report, const char *url, struct seal *seal, struct err *err)
{
	struct session session = {0};
	struct place place;
	int result = place_find(&place, url, err);

	if (result == 0 && place.path == NULL)
		result = err_exit(
			err, EX_USAGE, "a database in memory cannot be looked at from outside");
	if (result == 0)
		result = session_open(&session, place.path, SESSION_READ, seal, err);
	if (result == 0 && session_step(session.begin) != SQLITE_OK)
		result = sqlite_verify_failed(&session, err);
	if (result == 0)
		result = sqlite_verify_look_at_all(report, &session, seal, err);
	session_close(&session);
	place_free(&place);
	return result;
}
