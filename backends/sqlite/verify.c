#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "../verify_rules.h"
#include "keys.h"
#include "migrate.h"
#include "files/place.h"
#include "files/references.h"

static int sqlite_verify_failed(struct session *session, struct err *err)
{
	return session_failed(session, "the database cannot be read", err);
}

/* SQLite describes faults of pages and indexes in its own words, which name only tables and
 * numbers. */
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
		verify_problem(report, "damaged: it cannot be read to the end");
		code = SQLITE_DONE;
	}
	return code == SQLITE_DONE ? 0 : sqlite_verify_failed(session, err);
}

static void note_reference(void *report, const char *table, const char *parent, int64_t rows)
{
	verify_problem(report, "%lld rows of %s refer to missing rows of %s", (long long)rows,
		table, parent);
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
			report, "it has no table of users: it is not a database of this daemon");
	report->schema = migrate_version(session, err);
	return report->schema < 0 ? -1 : migrate_check(session, false, err);
}

/* SQLite columns accept values of any type. See verify_rule_condition(). */
static const char *const sound[] = {
	[VERIFY_UUID] = "uuid_valid(%1$s)",
	[VERIFY_TEXT] = "typeof(%1$s) = 'text' AND instr(CAST(%1$s AS BLOB), x'00') = 0",
	[VERIFY_TIME] = "micros(%1$s) IS NOT NULL",
	[VERIFY_BOOL] = "%1$s IN (0, 1) OR lower(%1$s) IN ('true', 'false')",
	[VERIFY_WHOLE] = "typeof(%1$s) = 'integer' AND %1$s BETWEEN 0 AND %2$s",
	[VERIFY_REAL] = "typeof(%1$s) IN ('real', 'integer') AND abs(%1$s) < 9e999",
	[VERIFY_STRINGS] = "CASE WHEN json_valid(%1$s) THEN json_type(%1$s) = 'array' ELSE 0 END",
	[VERIFY_OBJECT] = "CASE WHEN json_valid(%1$s) THEN json_type(%1$s) = 'object' ELSE 0 END",
	[VERIFY_JSON] = "json_valid(%1$s)",
};

static int check_column(struct verify_report *report, struct session *session,
	const struct verify_rule *rule, struct err *err)
{
	char good[320], sql[640];
	sqlite3_stmt *statement = NULL;
	int code;

	verify_rule_condition(rule, sound[rule->kind], good, sizeof good);
	(void)snprintf(sql, sizeof sql,
		"SELECT %s, rowid, count(*) OVER () FROM %s WHERE CASE WHEN %s IS NULL THEN %d "
		"ELSE COALESCE(NOT (%s), 1) END LIMIT %d",
		rule->id, rule->table, rule->column, rule->required, good, VERIFY_ROWS_NAMED);
	code = sqlite3_prepare_v2(session->db, sql, -1, &statement, NULL);
	if (code == SQLITE_ERROR)
		return 0; /* an older schema lacks the column */
	while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *id = (const char *)sqlite3_column_text(statement, 0);
		char place[40];

		(void)snprintf(place, sizeof place, " (rowid %lld)",
			(long long)sqlite3_column_int64(statement, 1));
		verify_bad_row(report, rule, id != NULL ? id : "", place,
			(long long)sqlite3_column_int64(statement, 2));
		code = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	return code == SQLITE_DONE ? 0 : sqlite_verify_failed(session, err);
}

static int check_values(struct verify_report *report, struct session *session, struct err *err)
{
	for (size_t i = 0; i < verify_rule_count; i++)
		if (check_column(report, session, &verify_rules[i], err) < 0)
			return -1;
	return 0;
}

/* Hours whose counts differ from their rows, where the rows are kept; months, and days as far as
 * they are summed, that differ from the sum of their hours. */
#define WRONG_HOURS(t, p, list)                                                                    \
	"SELECT count(*) FROM (SELECT 1 FROM usage_rolled s CROSS JOIN ("                          \
	"SELECT " p " AS parent, hour, tool_name, requests, successful, failed, time_ms, odd, "    \
	"NULL AS id FROM " t "_hours UNION ALL "                                                   \
	"SELECT " p ", hour_of(timestamp_us), tool_name, sign, "                                   \
	"sign * (NOT odd AND status_code BETWEEN 200 AND 299), "                                   \
	"sign * (NOT odd AND status_code >= 400), "                                                \
	"CASE WHEN odd THEN 0 ELSE sign * COALESCE(response_time_ms, 0) END, sign * odd, id "      \
	"FROM (SELECT *, odd_usage(status_code, response_time_ms, listed) AS odd FROM ("           \
	"SELECT " p ", timestamp_us, tool_name, status_code, response_time_ms, " list              \
	" AS listed, sign, NULL AS id FROM " t "_changes UNION ALL "                               \
	"SELECT " p ", timestamp_us, tool_name, status_code, response_time_ms, " list              \
	", -1, id FROM " t "))) AS c "                                                             \
	"WHERE s.source = '" t "' AND c.hour >= hour_of(s.kept_from) "                             \
	"AND (c.id IS NULL OR c.id <= s.last_id) GROUP BY c.parent, c.hour, c.tool_name "          \
	"HAVING sum(requests) <> 0 OR sum(successful) <> 0 OR sum(failed) <> 0 OR "                \
	"sum(time_ms) <> 0 OR sum(odd) <> 0)"
#define WRONG_MONTHS(t, p) VERIFY_WRONG_MONTHS(t, p, "strftime('%Y-%m', hour * 3600, 'unixepoch')")
#define WRONG_DAYS(t, p, hours, days, name, own, negative, sums)                                   \
	VERIFY_WRONG_DAYS(t, p, hours, days, name, own, negative, sums, "day_of(hour)", "")

static int check_counts(struct verify_report *report, struct session *session, struct err *err)
{
	static const struct {
		const char *table, *what, *sql; /* the newest table that it reads */
	} rules[] = {
		{"usage_rolled", "hours of api_key_usage have counts that differ from their rows",
			WRONG_HOURS("api_key_usage", "api_key_id", "NULL")},
		{"usage_rolled", "months of api_key_usage have counts that differ from their hours",
			WRONG_MONTHS("api_key_usage", "api_key_id")},
		{"usage_rolled", "hours of a2a_usage have counts that differ from their rows",
			WRONG_HOURS("a2a_usage", "client_id", "client_capabilities")},
		{"usage_rolled", "months of a2a_usage have counts that differ from their hours",
			WRONG_MONTHS("a2a_usage", "client_id")},
		{"api_key_usage_days",
			"days of api_key_usage have counts that differ from their hours",
			VERIFY_WRONG_TOOL_DAYS(WRONG_DAYS, "api_key_usage", "api_key_id")},
		{"a2a_usage_days", "days of a2a_usage have counts that differ from their hours",
			VERIFY_WRONG_TOOL_DAYS(WRONG_DAYS, "a2a_usage", "client_id")},
		{"a2a_usage_capability_days",
			"days of a2a_usage have capabilities that differ from their hours",
			VERIFY_WRONG_CAPABILITY_DAYS(WRONG_DAYS, "client_id")},
	};

	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		if (!session_has_table(session, rules[i].table))
			continue; /* an older schema */

		int64_t wrong = session_integer(session, rules[i].sql);

		if (wrong < 0)
			return sqlite_verify_failed(session, err);
		if (wrong > 0)
			verify_problem(report, "%lld %s", (long long)wrong, rules[i].what);
	}
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
	if (seal_format(seal) == BINDING_ALL) {
		int64_t plain = session_integer(session,
			"SELECT count(*) FROM a2a_sessions WHERE session_token NOT "
			"GLOB '" BINDING_HASH_MARK "*'");

		if (plain < 0)
			return sqlite_verify_failed(session, err);
		verify_session_tokens(report, (uint64_t)plain);
	}
	return keys_each_token(session, verify_look_at_token, &look, err);
}

/* In sequence, as far as a damaged file is readable. */
static int sqlite_verify_look_at_all(
	struct verify_report *report, struct session *session, struct seal *seal, struct err *err)
{
	if (sqlite_verify_check_integrity(report, session, err) < 0)
		return -1;
	if (report->problem_count > 0)
		return 0;
	if (check_references(report, session, err) < 0 ||
		sqlite_verify_check_tables(report, session, err) < 0 ||
		check_values(report, session, err) < 0 || check_counts(report, session, err) < 0)
		return -1;
	return check_tokens(report, session, seal, err);
}

int verify_sqlite(struct verify_report *report, const char *url, struct seal *seal, struct err *err)
{
	struct session session = {0};
	struct sqlite_place place;
	int result = place_find(&place, url, err);

	if (result == 0 && place.path == NULL)
		result = err_exit(err, EX_USAGE,
			"a database in memory cannot be checked from another process");
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
