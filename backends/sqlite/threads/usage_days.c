#include "usage_days.h"

#include <stddef.h>

#include "../../../protocol/value.h"
#include "../session.h"

#define SUM(hours, days, t, p, name, columns, sums)                                                \
	"INSERT INTO " days " (" p ", day, " name ", " columns ") SELECT h." p ", ?1, h." name     \
	", " sums " FROM usage_rolled s CROSS JOIN " hours " h ON h." p " = s.days_parent "        \
	"AND h.hour >= ?1 AND h.hour < ?1 + 24 WHERE s.source = '" t "' GROUP BY h." name
#define COLUMNS "requests, successful, failed, time_ms, timed"
#define SUMS "sum(requests), sum(successful), sum(failed), sum(time_ms), sum(timed)"

#define NEXT(t, p)                                                                                 \
	"SELECT (SELECT day_of(h.hour) FROM " t "_hours h WHERE h." p " = s.days_parent "          \
	"AND h.hour >= s.days_at AND h.hour < s.days_next ORDER BY h.hour LIMIT 1) "               \
	"FROM usage_rolled s WHERE s.source = '" t "' AND s.days_next IS NOT NULL"

#define LATE(t, p, summed)                                                                         \
	"INSERT INTO " t "_days (" p ", day, tool_name, " COLUMNS ") "                             \
	"SELECT ?1, day_of(?2), ?3, ?4, ?5, ?6, ?7, ?8 FROM usage_rolled s "                       \
	"WHERE s.source = '" t "' AND " summed " ON CONFLICT DO UPDATE SET "                       \
	"requests = requests + excluded.requests, successful = successful + excluded.successful, " \
	"failed = failed + excluded.failed, time_ms = time_ms + excluded.time_ms, "                \
	"timed = timed + excluded.timed"

/* t: the log; p: the column of its parent; lists: the statement of its lists, or NULL. */
#define DAYS(t, p, lists)                                                                          \
	{                                                                                          \
		.begin = "UPDATE usage_rolled SET days_next = ?1, days_parent = '', days_at = "    \
			 "days_to WHERE source = '" t "' AND days_next IS NULL AND days_to < ?1",  \
		.next = NEXT(t, p),                                                                \
		.sums = {SUM(t "_hours", t "_days", t, p, "tool_name", COLUMNS, SUMS), lists},     \
		.move = "UPDATE usage_rolled SET days_at = ?1 + 24 WHERE source = '" t "'",        \
		.parent = "UPDATE usage_rolled SET days_at = days_to, days_parent = (SELECT " p    \
			  " FROM " t "_hours WHERE " p " > days_parent ORDER BY " p                \
			  " LIMIT 1) WHERE source = '" t "'",                                      \
		.end = "UPDATE usage_rolled SET days_to = days_next, days_next = NULL "            \
		       "WHERE source = '" t "' AND days_parent IS NULL",                           \
		.late = LATE(t, p, USAGE_DAY_SUMMED("?1", "?2")),                                  \
	}

const struct usage_days usage_days_of_keys = DAYS("api_key_usage", "api_key_id", NULL);
const struct usage_days usage_days_of_agents = DAYS("a2a_usage", "client_id",
	SUM("a2a_usage_capabilities", "a2a_usage_capability_days", "a2a_usage", "client_id",
		"capability", "requests", "sum(requests)"));

/* Of one step: some milliseconds. A day reads up to 24 times the rows that it stores. */
enum { DAY_ROWS = 512, LOOKS = 512 };

/* Rows of a day that has just ended are still on their way, and clocks differ. A row that comes
 * later costs a second sum. */
static const int64_t hour_us = INT64_C(3600000000), wait_us = INT64_C(3600000000);

int64_t usage_days_end(void)
{
	int64_t hour = (timestamp_now() - wait_us) / hour_us;

	return hour - hour % 24;
}

/* A statement with at most one bind parameter. */
static int days_prepare(
	struct session *session, const char *sql, int64_t number, sqlite3_stmt **statement)
{
	int code = session_keep(session, sql, statement);

	return code == SQLITE_OK && sqlite3_bind_parameter_count(*statement) > 0
		? sqlite3_bind_int64(*statement, 1, number)
		: code;
}

static int days_execute(struct session *session, const char *sql, int64_t number)
{
	sqlite3_stmt *statement;
	int code = days_prepare(session, sql, number, &statement);

	return code == SQLITE_OK ? session_step(statement) : code;
}

enum found { FOUND_DAY, FOUND_NONE, FOUND_END };

/* FOUND_NONE: the parent has no more days; FOUND_END: the sweep has ended. */
static int find_day(
	struct session *session, const struct usage_days *days, enum found *found, int64_t *day)
{
	sqlite3_stmt *statement;
	int code = days_prepare(session, days->next, 0, &statement);

	*found = FOUND_END;
	if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		*found = sqlite3_column_type(statement, 0) == SQLITE_NULL ? FOUND_NONE : FOUND_DAY;
		*day = sqlite3_column_int64(statement, 0);
		code = SQLITE_DONE;
	}
	sqlite3_reset(statement);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* stored: how many rows are added. */
static int sum_day(
	struct session *session, const struct usage_days *days, int64_t day, int64_t *stored)
{
	const size_t count = sizeof days->sums / sizeof days->sums[0];
	int code = SQLITE_OK;

	for (size_t i = 0; i < count && days->sums[i] != NULL && code == SQLITE_OK; i++) {
		code = days_execute(session, days->sums[i], day);
		*stored += sqlite3_changes64(session->db);
	}
	return code == SQLITE_OK ? days_execute(session, days->move, day) : code;
}

int usage_days_sum(struct session *session, const struct usage_days *days, int64_t end, bool *more)
{
	int code = days_execute(session, days->begin, end);
	int64_t stored = 0, day = 0;
	enum found found = FOUND_NONE;

	for (int look = 0; look < LOOKS && stored < DAY_ROWS && code == SQLITE_OK; look++) {
		code = find_day(session, days, &found, &day);
		if (code != SQLITE_OK || found == FOUND_END)
			return code;
		if (found == FOUND_DAY) {
			code = sum_day(session, days, day, &stored);
			continue;
		}
		code = days_execute(session, days->parent, 0);
		if (code == SQLITE_OK)
			code = days_execute(session, days->end, 0);
	}
	*more = true;
	return code;
}
