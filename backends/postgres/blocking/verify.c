#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "../../../protocol/json/json.h"
#include "../../verify_rules.h"
#include "connect.h"
#include "format.h"
#include "keys.h"
#include "migrate.h"

/* Migrations: ROLLUPS_SCHEMA creates the counts of usage, BOUND_SCHEMA the tokens' format,
 * DAYS_SCHEMA the counts by day. */
enum { CONNECT_MS = 10000, ROLLUPS_SCHEMA = 6, BOUND_SCHEMA = 8, DAYS_SCHEMA = 9 };

/* Without a time limit. */
static PGresult *postgres_verify_query(PGconn *pq, const char *sql, struct err *err)
{
	PGresult *result = PQexec(pq, sql);

	if (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK)
		return result;
	if (PQstatus(pq) != CONNECTION_OK)
		(void)err_exit(err, EX_UNAVAILABLE, "the connection to the database was lost");
	else
		(void)err_exit(err, EX_IOERR, "the database cannot be read (SQLSTATE %s)",
			PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL
				? PQresultErrorField(result, PG_DIAG_SQLSTATE)
				: "unknown");
	PQclear(result);
	return NULL;
}

static int count_tables(struct verify_report *report, PGconn *pq, struct err *err)
{
	PGresult *tables = postgres_verify_query(pq,
		"SELECT relname, format('SELECT count(*) FROM %I', relname) FROM pg_class "
		"WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY "
		"relname COLLATE \"C\"",
		err);
	int result = tables != NULL ? 0 : -1;
	bool users = false;

	verify_begin_tables(report);
	for (int i = 0; result == 0 && i < PQntuples(tables); i++) {
		PGresult *count = postgres_verify_query(pq, PQgetvalue(tables, i, 1), err);

		users = users || strcmp(PQgetvalue(tables, i, 0), "users") == 0;
		if (count != NULL)
			verify_table(report, PQgetvalue(tables, i, 0),
				strtoull(PQgetvalue(count, 0, 0), NULL, 10));
		else
			result = -1;
		PQclear(count);
	}
	verify_end_tables(report);
	PQclear(tables);
	if (result == 0 && !users)
		result = err_exit(err, EX_DATAERR,
			"it has no table of users: it is not a database of this daemon");
	return result;
}

/* Rules that the server itself does not enforce. */
static int check_catalog(struct verify_report *report, PGconn *pq, struct err *err)
{
	PGresult *found = postgres_verify_query(pq,
		"SELECT 'the constraint ' || conname || ' was never checked' FROM pg_constraint "
		"WHERE NOT convalidated "
		"AND connamespace = current_schema()::regnamespace UNION ALL "
		"SELECT 'the index ' || c.relname || ' is not valid' FROM pg_index i JOIN "
		"pg_class c ON c.oid = i.indexrelid "
		"WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace",
		err);

	if (found == NULL)
		return -1;
	for (int i = 0; i < PQntuples(found); i++)
		verify_problem(report, "%s", PQgetvalue(found, i, 0));
	PQclear(found);
	return 0;
}

/* Rules that a column's type does not imply; NULL: none. See verify_rule_condition(). */
static const char *unsound_of(enum verify_kind kind)
{
	switch (kind) {
	case VERIFY_TIME:
		return "NOT (%1$s >= '0001-01-01 00:00:00 BC' AND %1$s < '10000-01-01 00:00:00')";
	case VERIFY_WHOLE:
		return "NOT (%1$s BETWEEN 0 AND %2$s)";
	case VERIFY_REAL:
		return "%1$s IN ('NaN', 'Infinity', '-Infinity')";
	case VERIFY_STRINGS:
		return "array_position(%1$s, NULL) IS NOT NULL OR array_ndims(%1$s) > 1";
	case VERIFY_OBJECT:
		return "jsonb_typeof(%1$s) <> 'object'";
	case VERIFY_UUID:
	case VERIFY_TEXT:
	case VERIFY_BOOL:
	case VERIFY_JSON:
		break;
	}
	return NULL;
}

static int postgres_verify_column(
	struct verify_report *report, PGconn *pq, const struct verify_rule *rule, struct err *err)
{
	const char *unsound = unsound_of(rule->kind);
	char condition[256], sql[512];
	PGresult *found;

	if (unsound == NULL)
		return 0;
	verify_rule_condition(rule, unsound, condition, sizeof condition);
	(void)snprintf(sql, sizeof sql,
		"SELECT %s, count(*) OVER () FROM %s WHERE %s IS NOT NULL AND (%s) ORDER BY 1 "
		"LIMIT %d",
		rule->id, rule->table, rule->column, condition, VERIFY_ROWS_NAMED);
	found = postgres_verify_query(pq, sql, err);
	for (int i = 0; found != NULL && i < PQntuples(found); i++)
		verify_bad_row(report, rule, PQgetvalue(found, i, 0), "",
			strtoll(PQgetvalue(found, i, 1), NULL, 10));
	PQclear(found);
	return found != NULL ? 0 : -1;
}

/* Some documents are kept as text, which is the column that reads use. */
static int postgres_verify_exact(
	struct verify_report *report, PGconn *pq, const struct verify_rule *rule, struct err *err)
{
	char sql[200];
	PGresult *found;

	if (rule->exact == NULL)
		return 0;
	(void)snprintf(sql, sizeof sql, "SELECT %s, %s FROM %s WHERE %s IS NOT NULL", rule->id,
		rule->exact, rule->table, rule->exact);
	found = postgres_verify_query(pq, sql, err);
	for (int i = 0; found != NULL && i < PQntuples(found); i++) {
		struct json json = {0};
		bool good = json_scan(&json, PQgetvalue(found, i, 1),
				    (size_t)PQgetlength(found, i, 1), JSON_DEPTH_MAX, NULL) == 0 &&
			(rule->kind != VERIFY_OBJECT || json.nodes[0].type == JSON_OBJECT);

		json_scan_free(&json);
		if (!good)
			verify_bad_row(report, rule, PQgetvalue(found, i, 0), "", 1);
	}
	PQclear(found);
	return found != NULL ? 0 : -1;
}

static int postgres_verify_values(struct verify_report *report, PGconn *pq, struct err *err)
{
	for (size_t i = 0; i < verify_rule_count; i++)
		if (!verify_rules[i].old &&
			(postgres_verify_column(report, pq, &verify_rules[i], err) < 0 ||
				postgres_verify_exact(report, pq, &verify_rules[i], err) < 0))
			return -1;
	return 0;
}

/* Hours whose counts differ from their rows, where the rows are kept; months, and days as far as
 * they are summed, that differ from the sum of their hours. */
#define ODD "(odd_time(response_time_ms) OR "
#define WRONG_HOURS(t, p, parents, list)                                                           \
	"SELECT count(*) FROM (SELECT 1 FROM usage_rolled s CROSS JOIN ("                          \
	"SELECT " p " AS parent, hour, tool_name, requests, successful, failed, time_ms, "         \
	"0::bigint AS id FROM " t "_hours UNION ALL "                                              \
	"SELECT " p ", date_trunc('hour', timestamp, 'UTC'), tool_name, sign, "                    \
	"CASE WHEN NOT odd AND status_code BETWEEN 200 AND 299 THEN sign ELSE 0 END, "             \
	"CASE WHEN NOT odd AND status_code >= 400 THEN sign ELSE 0 END, "                          \
	"CASE WHEN odd THEN 0 ELSE sign * COALESCE(response_time_ms, 0) END, id FROM ("            \
	"SELECT " p ", timestamp, tool_name, status_code, response_time_ms, sign, "                \
	"usage_id AS id, " ODD list ") AS odd FROM " t "_changes UNION ALL "                       \
	"SELECT " p ", timestamp, tool_name, status_code, response_time_ms, -1, id, " ODD list     \
	") FROM " t ") AS one) AS c WHERE s.source = '" t "' "                                     \
	"AND c.hour >= s.kept_from AND c.id <= s.last_id "                                         \
	"AND EXISTS (SELECT 1 FROM " parents " WHERE number = c.parent) "                          \
	"GROUP BY c.parent, c.hour, c.tool_name HAVING sum(requests) <> 0 OR "                     \
	"sum(successful) <> 0 OR sum(failed) <> 0 OR sum(time_ms) <> 0) AS wrong"
#define WRONG_MONTHS(t, p) VERIFY_WRONG_MONTHS(t, p, "date_trunc('month', hour, 'UTC')")
/* 4713 BC: before any period, as in the migration 0009. */
#define WRONG_DAYS(t, p, hours, days, name, own, negative, sums)                                   \
	VERIFY_WRONG_DAYS(t, p, hours, days, name, own, negative, sums,                            \
		"date_trunc('day', hour, 'UTC')", "day >= '4713-01-01 00:00:00+00 BC' AND ")

static int postgres_verify_counts(struct verify_report *report, PGconn *pq, struct err *err)
{
	static const struct {
		int schema;
		const char *what, *sql;
	} rules[] = {
		{ROLLUPS_SCHEMA, "hours of api_key_usage have counts that differ from their rows",
			WRONG_HOURS("api_key_usage", "api_key", "api_keys", "false")},
		{ROLLUPS_SCHEMA, "months of api_key_usage have counts that differ from their hours",
			WRONG_MONTHS("api_key_usage", "api_key")},
		{ROLLUPS_SCHEMA, "hours of a2a_usage have counts that differ from their rows",
			WRONG_HOURS("a2a_usage", "client", "a2a_clients",
				"array_position(client_capabilities, NULL) IS NOT NULL")},
		{ROLLUPS_SCHEMA, "months of a2a_usage have counts that differ from their hours",
			WRONG_MONTHS("a2a_usage", "client")},
		{DAYS_SCHEMA, "days of api_key_usage have counts that differ from their hours",
			VERIFY_WRONG_TOOL_DAYS(WRONG_DAYS, "api_key_usage", "api_key")},
		{DAYS_SCHEMA, "days of a2a_usage have counts that differ from their hours",
			VERIFY_WRONG_TOOL_DAYS(WRONG_DAYS, "a2a_usage", "client")},
		{DAYS_SCHEMA, "days of a2a_usage have capabilities that differ from their hours",
			VERIFY_WRONG_CAPABILITY_DAYS(WRONG_DAYS, "client")},
	};

	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		if (report->schema < rules[i].schema)
			continue;

		PGresult *found = postgres_verify_query(pq, rules[i].sql, err);

		if (found == NULL)
			return -1;
		if (strcmp(PQgetvalue(found, 0, 0), "0") != 0)
			verify_problem(report, "%s %s", PQgetvalue(found, 0, 0), rules[i].what);
		PQclear(found);
	}
	return 0;
}

static int check_format(
	struct verify_report *report, PGconn *pq, struct seal *seal, struct err *err)
{
	enum binding_format format;
	PGresult *plain;

	if (report->schema < BOUND_SCHEMA)
		return 0;
	if (format_read(pq, &format, err) < 0)
		return -1;
	seal_set_format(seal, format, true);
	if (format != BINDING_ALL)
		return 0;
	plain = postgres_verify_query(pq,
		"SELECT count(*) FROM a2a_sessions WHERE left(session_token, 7) <> "
		"'" BINDING_HASH_MARK "'",
		err);
	if (plain == NULL)
		return -1;
	verify_session_tokens(report, strtoull(PQgetvalue(plain, 0, 0), NULL, 10));
	PQclear(plain);
	return 0;
}

static int postgres_verify_look_at_all(
	struct verify_report *report, PGconn *pq, struct seal *seal, struct err *err)
{
	struct verify_look look = {report, seal, err};
	struct err wrong = {0};
	PGresult *begun = postgres_verify_query(pq,
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0",
		err);

	PQclear(begun);
	PQclear(begun != NULL ? (begun = postgres_verify_query(pq, postgres_settings_sql, err))
			      : NULL);
	if (begun == NULL || count_tables(report, pq, err) < 0 ||
		check_catalog(report, pq, err) < 0)
		return -1;
	report->schema = migrate_schema(pq, err);
	if (report->schema < 0 || migrate_check_schema(pq, false, err) < 0 ||
		postgres_verify_values(report, pq, err) < 0 ||
		postgres_verify_counts(report, pq, err) < 0)
		return -1;
	if (keys_prove_key_only(pq, seal, &wrong) < 0) {
		report->wrong_key = wrong.exit_code == EX_NOPERM;
		verify_problem(report, "%s", wrong.message);
	}
	if (check_format(report, pq, seal, err) < 0)
		return -1;
	return keys_postgres_each_token(pq, verify_look_at_token, &look, err);
}

int verify_postgres(
	struct verify_report *report, const char *url, struct seal *seal, struct err *err)
{
	char error[ERR_MESSAGE_MAX];
	PGconn *pq = connect_postgres(&(struct target){.url = url}, CONNECT_MS, error);
	int result;

	if (pq == NULL)
		return err_exit(
			err, EX_UNAVAILABLE, "the database cannot be reached: %.250s", error);
	result = postgres_verify_look_at_all(report, pq, seal, err);
	PQfinish(pq);
	return result;
}
