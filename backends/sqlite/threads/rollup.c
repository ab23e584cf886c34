/* The steps that keep the rollups of migration 0010 current. A step takes the rows behind last_id,
 * and the entries of …_changes, into the rollups. Both happen in one transaction, so that a reader
 * counts each row once. */
#include "rollup.h"

#include <stddef.h>

#include "../../../protocol/value.h"
#include "../session.h"
#include "../sqlite_store.h"
#include "queue.h"
#include "usage_days.h"
#include "usage_sums.h"

/* Rows of one step: some milliseconds. With many left, as in an existing installation, a step is
 * larger: it costs a sync of the disk. */
enum {
	STEP_ROWS = 2048,
	LARGE_STEP_ROWS = 4096,
	DROP_ROWS = 256,
	DROP_PAUSE_S = 60,
	LOOK_PAUSE_S = 2
};
static const int64_t hour_us = INT64_C(3600000000);

/* The statements of one log. t: its name; p: the column of its parent; list: the column with a
 * list, or NULL. ?1: last_id, ?2: the step's last row, or in ROWS how many it takes, ?3: its last
 * change.
 *
 * The rows and changes of a step are summed in memory, and each sum is stored once. micros()
 * computes what the generated column timestamp_us holds, at a fraction of the cost. */
#define ROWS(t, p, list)                                                                           \
	"SELECT 1, " p ", hour_of(micros(timestamp)), tool_name, status_code, response_time_ms, "  \
	"odd_usage(status_code, response_time_ms, " list "), id FROM " t                           \
	" WHERE id > ?1 ORDER BY id LIMIT ?2"
#define CHANGES(t, p, list)                                                                        \
	"SELECT sign, " p ", hour_of(timestamp_us), tool_name, status_code, response_time_ms, "    \
	"odd_usage(status_code, response_time_ms, " list ") FROM " t "_changes WHERE number <= ?3"

#define HOURS(t, p)                                                                                \
	"INSERT INTO " t "_hours (" p ", hour, tool_name, requests, successful, failed, time_ms, " \
	"timed, odd) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET "       \
	"requests = requests + excluded.requests, successful = successful + excluded.successful, " \
	"failed = failed + excluded.failed, time_ms = time_ms + excluded.time_ms, "                \
	"timed = timed + excluded.timed, odd = odd + excluded.odd"

/* ?2: the month's first hour. */
#define MONTHS(t, p)                                                                               \
	"INSERT INTO " t "_months (" p ", month, requests) "                                       \
	"VALUES (?1, strftime('%Y-%m', ?2 * 3600, 'unixepoch'), ?3) "                              \
	"ON CONFLICT DO UPDATE SET requests = requests + excluded.requests"

/* at: a column of the hour, which `name` names in the table; only: which rows. */
#define CAPABILITIES(table, name, at, only)                                                        \
	"INSERT INTO " table " (client_id, " name ", capability, requests) "                       \
	"SELECT c.client_id, " at ", c.capability, sum(c.sign) FROM usage_rolled s CROSS JOIN ("   \
	"SELECT DISTINCT r.n, r.sign, r.client_id, r.hour, e.value AS capability FROM ("           \
	"SELECT id AS n, 1 AS sign, client_id, hour_of(micros(timestamp)) AS hour, "               \
	"client_capabilities, status_code, response_time_ms FROM a2a_usage "                       \
	"WHERE id > ?1 AND id <= ?2 "                                                              \
	"UNION ALL SELECT -number, sign, client_id, hour_of(timestamp_us), client_capabilities, "  \
	"status_code, response_time_ms FROM a2a_usage_changes WHERE number <= ?3) r, "             \
	"json_each(CASE WHEN odd_usage(r.status_code, r.response_time_ms, "                        \
	"r.client_capabilities) THEN NULL ELSE r.client_capabilities END) e "                      \
	"WHERE r.hour IS NOT NULL) c WHERE s.source = 'a2a_usage' AND " only " GROUP BY 1, 2, 3 "  \
	"ON CONFLICT DO UPDATE SET requests = requests + excluded.requests"

#define END(t) "UPDATE usage_rolled SET last_id = ?2 WHERE source = '" t "'"
#define EMPTY(t) "DELETE FROM " t "_changes WHERE number <= ?3"

enum { STEP_STATEMENTS = 3 };

/* Rows of hours before ?1 that are rolled up. `others` finds them without an index on time alone.
 */
#define EXPIRED(t, from)                                                                           \
	from " WHERE u.timestamp_us < ?1 AND u.id <= (SELECT last_id FROM "                        \
	     "usage_rolled WHERE source = '" t "')"
#define BEGIN_DROP(t, from)                                                                        \
	"UPDATE usage_rolled SET dropping = 1, kept_from = max(kept_from, ?1) WHERE source = '" t  \
	"' AND EXISTS (SELECT 1 FROM " EXPIRED(t, from) ")"
#define DROP(t, from)                                                                              \
	"DELETE FROM " t " WHERE id IN (SELECT u.id FROM " EXPIRED(t, from) " LIMIT ?2)"
#define END_DROP(t) "UPDATE usage_rolled SET dropping = 0 WHERE source = '" t "' AND dropping"
#define BY_TIME "api_key_usage u"
#define BY_CLIENT "a2a_clients c CROSS JOIN a2a_usage u ON u.client_id = c.id"

enum { DROP_STATEMENTS = 3 };

struct usage_log {
	const char
		*bounds; /* last_id, the last row of a step of ?1 rows, and whether changes wait */
	const char *rows, *changes, *hours, *months;
	const struct usage_days *days;
	const char *late;                   /* the lists of hours whose days are summed, or NULL */
	const char *steps[STEP_STATEMENTS]; /* run after the sums are stored */
	const char *drops[DROP_STATEMENTS];
};

/* The newest rows may be deleted, and their ids used again by a table whose sequence was reset:
 * then last_id goes back to the newest row. ?1: how many changes a step takes. */
#define BOUNDS(t)                                                                                  \
	"SELECT last_id, COALESCE((SELECT max(id) FROM " t "), -9223372036854775808), "            \
	"(SELECT max(number) FROM (SELECT number FROM " t "_changes ORDER BY number LIMIT ?1)), "  \
	"(SELECT max(number) FROM " t "_changes), days_to, COALESCE(days_next, days_to) "          \
	"FROM usage_rolled WHERE source = '" t "'"

static const struct usage_log logs[] = {
	{
		.bounds = BOUNDS("api_key_usage"),
		.rows = ROWS("api_key_usage", "api_key_id", "NULL"),
		.changes = CHANGES("api_key_usage", "api_key_id", "NULL"),
		.hours = HOURS("api_key_usage", "api_key_id"),
		.months = MONTHS("api_key_usage", "api_key_id"),
		.days = &usage_days_of_keys,
		.steps = {EMPTY("api_key_usage"), END("api_key_usage")},
		.drops = {BEGIN_DROP("api_key_usage", BY_TIME), DROP("api_key_usage", BY_TIME),
			END_DROP("api_key_usage")},
	},
	{
		.bounds = BOUNDS("a2a_usage"),
		.rows = ROWS("a2a_usage", "client_id", "client_capabilities"),
		.changes = CHANGES("a2a_usage", "client_id", "client_capabilities"),
		.hours = HOURS("a2a_usage", "client_id"),
		.months = MONTHS("a2a_usage", "client_id"),
		.days = &usage_days_of_agents,
		.late = CAPABILITIES("a2a_usage_capability_days", "day", "day_of(c.hour)",
			USAGE_DAY_SUMMED("c.client_id", "c.hour")),
		.steps = {CAPABILITIES("a2a_usage_capabilities", "hour", "c.hour", "true"),
			EMPTY("a2a_usage"), END("a2a_usage")},
		.drops = {BEGIN_DROP("a2a_usage", BY_CLIENT), DROP("a2a_usage", BY_CLIENT),
			END_DROP("a2a_usage")},
	},
};

enum { LOGS = sizeof logs / sizeof logs[0] };

struct bounds {
	int64_t last, newest;               /* rows */
	int64_t last_change, newest_change; /* 0: there are none */
	int64_t days_to, summed_to;         /* no day behind summed_to is summed */
	bool pending;
};

enum { NUMBERS = 3 }; /* max bind parameters of a step's statement */

/* A kept statement; it binds as many of the numbers as it has parameters. */
static int rollup_prepare(struct session *session, const char *sql, const int64_t numbers[NUMBERS],
	sqlite3_stmt **statement)
{
	int code = session_keep(session, sql, statement),
	    count = sqlite3_bind_parameter_count(*statement);

	for (int i = 0; i < count && i < NUMBERS && code == SQLITE_OK; i++)
		code = sqlite3_bind_int64(*statement, i + 1, numbers[i]);
	return code;
}

/* One without result rows. */
static int rollup_execute(struct session *session, const char *sql, const int64_t numbers[NUMBERS])
{
	sqlite3_stmt *statement;
	int code = rollup_prepare(session, sql, numbers, &statement);

	return code == SQLITE_OK ? session_step(statement) : code;
}

static int read_bounds(
	struct session *session, const struct usage_log *log, int64_t rows, struct bounds *bounds)
{
	sqlite3_stmt *statement;
	int code = session_keep(session, log->bounds, &statement);

	*bounds = (struct bounds){0};
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(statement, 1, rows);
	if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		int64_t stored = sqlite3_column_int64(statement, 0);

		bounds->newest = sqlite3_column_int64(statement, 1);
		bounds->last = stored < bounds->newest ? stored : bounds->newest;
		bounds->last_change = sqlite3_column_int64(statement, 2);
		bounds->newest_change = sqlite3_column_int64(statement, 3);
		bounds->days_to = sqlite3_column_int64(statement, 4);
		bounds->summed_to = sqlite3_column_int64(statement, 5);
		bounds->pending = bounds->newest != stored || bounds->last_change != 0;
		code = SQLITE_DONE;
	}
	sqlite3_reset(statement);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

static bool is_pending(struct session *session)
{
	struct bounds bounds;

	for (int i = 0; i < LOGS; i++)
		if (read_bounds(session, &logs[i], 1, &bounds) == SQLITE_OK &&
			(bounds.pending || bounds.days_to < usage_days_end()))
			return true;
	return false;
}

/* The columns of ROWS and CHANGES. */
enum { ROW_SIGN, ROW_PARENT, ROW_HOUR, ROW_TOOL, ROW_STATUS, ROW_TIME, ROW_ODD, ROW_ID };

/* False: out of memory. */
static bool sum_row(sqlite3_stmt *row, struct usage_sums *hours)
{
	int64_t sign = sqlite3_column_int64(row, ROW_SIGN);
	struct usage_text parent, tool;
	struct usage_sums_entry *entry;

	if (sqlite3_column_type(row, ROW_HOUR) == SQLITE_NULL)
		return true;
	parent = usage_sums_column(row, ROW_PARENT);
	tool = usage_sums_column(row, ROW_TOOL);
	if (parent.bytes == NULL || tool.bytes == NULL)
		return false;
	entry = usage_sums_of(hours, parent, sqlite3_column_int64(row, ROW_HOUR), tool);
	if (entry == NULL)
		return false;
	entry->sums[SUM_REQUESTS] += sign;
	if (sqlite3_column_int(row, ROW_ODD) != 0) {
		entry->sums[SUM_ODD] += sign;
		return true;
	}
	int64_t status = sqlite3_column_int64(row, ROW_STATUS);

	entry->sums[SUM_SUCCESSFUL] += status >= 200 && status <= 299 ? sign : 0;
	entry->sums[SUM_FAILED] += status >= 400 ? sign : 0;
	entry->sums[SUM_TIME_MS] += sign * sqlite3_column_int64(row, ROW_TIME);
	entry->sums[SUM_TIMED] += sqlite3_column_type(row, ROW_TIME) != SQLITE_NULL ? sign : 0;
	return true;
}

/* last: set to the last row's id, where the statement has it. */
static int sum_rows(struct session *session, const char *sql, const int64_t numbers[NUMBERS],
	struct usage_sums *hours, int64_t *last)
{
	sqlite3_stmt *statement;
	int code = rollup_prepare(session, sql, numbers, &statement);

	while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		code = sum_row(statement, hours) ? SQLITE_OK : SQLITE_NOMEM;
		if (last != NULL)
			*last = sqlite3_column_int64(statement, ROW_ID);
	}
	sqlite3_reset(statement);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int sum_months(const struct usage_sums *hours, struct usage_sums *months)
{
	const struct usage_text none = {.bytes = ""};

	for (const struct usage_sums_entry *hour = hours->entries; hour != NULL;
		hour = hour->next) {
		struct usage_sums_entry *month = usage_sums_of(months, hour->parent,
			timestamp_month_start(hour->hour * hour_us) / hour_us, none);

		if (month == NULL)
			return SQLITE_NOMEM;
		month->sums[SUM_REQUESTS] += hour->sums[SUM_REQUESTS];
	}
	return SQLITE_OK;
}

/* What comes late also belongs to days that are summed. */
static int add_to_days(struct session *session, const struct usage_log *log,
	const struct bounds *bounds, const struct usage_sums *hours, int64_t to)
{
	const int64_t numbers[NUMBERS] = {bounds->last, to, bounds->last_change};
	int code = usage_sums_store(session, log->days->late, hours, bounds->summed_to);

	return code == SQLITE_OK && log->late != NULL ? rollup_execute(session, log->late, numbers)
						      : code;
}

/* to: set to the last row that it has rolled up. */
static int roll_up_sums(struct session *session, const struct usage_log *log,
	const struct bounds *bounds, int64_t rows, int64_t *to)
{
	const int64_t numbers[NUMBERS] = {bounds->last, rows, bounds->last_change};
	const size_t max = 2 * (size_t)rows; /* rows and changes */
	struct usage_sums hours = {0}, months = {0};
	int code = usage_sums_init(&hours, max) && usage_sums_init(&months, max) ? SQLITE_OK
										 : SQLITE_NOMEM;

	if (code == SQLITE_OK)
		code = sum_rows(session, log->rows, numbers, &hours, to);
	if (code == SQLITE_OK)
		code = sum_rows(session, log->changes, numbers, &hours, NULL);
	if (code == SQLITE_OK)
		code = sum_months(&hours, &months);
	if (code == SQLITE_OK)
		code = usage_sums_store(session, log->hours, &hours, INT64_MAX);
	if (code == SQLITE_OK)
		code = usage_sums_store(session, log->months, &months, INT64_MAX);
	if (code == SQLITE_OK && usage_sums_any(&hours, bounds->summed_to))
		code = add_to_days(session, log, bounds, &hours, *to);
	usage_sums_free(&hours);
	usage_sums_free(&months);
	return code;
}

static int roll_up_rows(struct session *session, const struct usage_log *log,
	const struct bounds *bounds, int64_t rows, bool *more)
{
	int64_t to = bounds->last;
	int code = roll_up_sums(session, log, bounds, rows, &to);

	const int64_t numbers[NUMBERS] = {bounds->last, to, bounds->last_change};

	for (int i = 0; i < STEP_STATEMENTS && log->steps[i] != NULL && code == SQLITE_OK; i++)
		code = rollup_execute(session, log->steps[i], numbers);
	*more = (uint64_t)bounds->newest - (uint64_t)to >= STEP_ROWS ||
		bounds->newest_change > bounds->last_change;
	return code;
}

/* Days are summed when few rows are left: a row that comes later costs a second sum. */
static int step_of(
	struct session *session, const struct usage_log *log, bool large, struct rollup *rollup)
{
	const int64_t rows = large ? LARGE_STEP_ROWS : STEP_ROWS, end = usage_days_end();
	struct bounds bounds;
	bool more = false;
	int code = read_bounds(session, log, rows, &bounds);

	if (code == SQLITE_OK && bounds.pending)
		code = roll_up_rows(session, log, &bounds, rows, &more);
	if (code == SQLITE_OK && !more && bounds.days_to < end)
		code = usage_days_sum(session, log->days, end, &rollup->summing);
	rollup->more = rollup->more || more;
	return code;
}

/* The start of the oldest hour whose rows are kept, µs since 1970. */
static int64_t kept_from(const struct sqlite_store *store)
{
	int64_t kept = timestamp_now() - (int64_t)store->settings.usage_retention_ms * 1000;

	return kept - kept % hour_us;
}

/* Rows that are dropped stay counted: the triggers see `dropping`. */
static int drop_step(struct sqlite_store *store, struct session *session)
{
	struct rollup *rollup = &store->rollup;
	const int64_t numbers[NUMBERS] = {kept_from(store), DROP_ROWS, 0};
	int code = SQLITE_OK;

	rollup->dropping = false;
	for (int i = 0; i < LOGS; i++)
		for (int k = 0; k < DROP_STATEMENTS && code == SQLITE_OK; k++) {
			code = rollup_execute(session, logs[i].drops[k], numbers);
			if (k == 1 && code == SQLITE_OK &&
				sqlite3_changes64(session->db) == DROP_ROWS)
				rollup->dropping = true;
		}
	rollup->drop_at = clock_ns() + (rollup->dropping ? 0 : DROP_PAUSE_S * UINT64_C(1000000000));
	return code;
}

static bool drop_due(const struct sqlite_store *store)
{
	return store->settings.usage_retention_ms != 0 && !store->rollup.more &&
		store->rollup.drop_at <= clock_ns();
}

/* Rows that wait are counted by each statement itself, so there is no hurry. */
void rollup_tick(struct sqlite_store *store)
{
	uint64_t now = clock_ns();

	if (now < store->rollup.look_at)
		return;
	store->rollup.look_at = now + LOOK_PAUSE_S * UINT64_C(1000000000);
	atomic_store_explicit(&store->rollup.looks, true, memory_order_relaxed);
	queue_nudge(&store->writes);
}

void rollup_pause(struct sqlite_store *store, bool paused)
{
	atomic_store(&store->rollup.quiet, paused);
}

/* Each row that is written counts, of whatever table. */
static int64_t written_rows(struct rollup *rollup, const struct session *session)
{
	int64_t changes = sqlite3_total_changes64(session->db);

	if (changes < rollup->counted) /* the session is new */
		rollup->counted = 0;
	return changes - rollup->counted;
}

bool rollup_due(struct sqlite_store *store, struct session *session)
{
	struct rollup *rollup = &store->rollup;

	if (atomic_load(&rollup->quiet) || atomic_load(&store->ending) || atomic_load(&store->lost))
		return false;
	if (rollup->more || rollup->summing || rollup->dropping ||
		written_rows(rollup, session) >= STEP_ROWS)
		return true;
	return atomic_exchange_explicit(&rollup->looks, false, memory_order_relaxed) &&
		(drop_due(store) || is_pending(session));
}

int rollup_run(struct sqlite_store *store, struct session *session)
{
	bool large = store->rollup.more;
	int code = SQLITE_OK;

	store->rollup.more = store->rollup.summing = false;
	for (int i = 0; i < LOGS && code == SQLITE_OK; i++)
		code = step_of(session, &logs[i], large, &store->rollup);
	if (code == SQLITE_OK && drop_due(store)) /* not while rows are left: only their step makes
	                                             them ready */
		code = drop_step(store, session);
	store->rollup.counted = sqlite3_total_changes64(session->db);
	return code;
}

/* The next look tries again. */
static void rollup_wait(struct rollup *rollup)
{
	rollup->more = rollup->summing = rollup->dropping = false;
}

bool rollup_join(struct sqlite_store *store, struct session *session)
{
	static const char begin[] = "SAVEPOINT rollup", undo[] = "ROLLBACK TO rollup",
			  end[] = "RELEASE rollup";
	const int64_t none[NUMBERS] = {0};

	if (sqlite3_get_autocommit(session->db) != 0 || !rollup_due(store, session) ||
		rollup_execute(session, begin, none) != SQLITE_OK)
		return false;
	/* An error may have ended the transaction, and the savepoint with it. */
	if (rollup_run(store, session) != SQLITE_OK && sqlite3_get_autocommit(session->db) == 0) {
		(void)rollup_execute(session, undo, none);
		rollup_wait(&store->rollup);
	}
	if (sqlite3_get_autocommit(session->db) == 0)
		(void)rollup_execute(session, end, none);
	return true;
}

void rollup_ended(struct sqlite_store *store, bool committed)
{
	if (!committed)
		rollup_wait(&store->rollup);
	else if (store->rollup.more || store->rollup.summing || store->rollup.dropping)
		queue_nudge(&store->writes);
}
