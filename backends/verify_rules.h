/* The contract's rules for stored columns beyond their types, as `verify` checks them on either
 * database. Read only.
 *
 * prefix: verify_ */
#ifndef PIERRE_VERIFY_RULES_H
#define PIERRE_VERIFY_RULES_H

#include <stdbool.h>
#include <stddef.h>

enum verify_kind {
	VERIFY_UUID,
	VERIFY_TEXT,
	VERIFY_TIME,
	VERIFY_BOOL,
	VERIFY_WHOLE, /* 0 to max */
	VERIFY_REAL,  /* finite */
	VERIFY_STRINGS,
	VERIFY_OBJECT, /* a JSON object */
	VERIFY_JSON,
};

struct verify_rule {
	const char *table, *id, *column; /* a row is identified by its id */
	enum verify_kind kind;
	bool required;   /* never NULL */
	bool old;        /* a column of the old server, which PostgreSQL lacks */
	const char *max; /* VERIFY_WHOLE */
	const char
		*exact; /* PostgreSQL: the column that keeps the text where JSONB would change it */
};

extern const struct verify_rule verify_rules[];
extern const size_t verify_rule_count;

/* pattern: SQL with %1$s for the column and %2$s for its bound. */
void verify_rule_condition(
	const struct verify_rule *rule, const char *pattern, char *out, size_t size);

enum { VERIFY_ROWS_NAMED = 5 }; /* of each rule */

/* SQL: months, and days as far as they are summed, whose counts differ from the sum of their hours.
 * t, p: the table of usage and the column of its parent. month_of_hour, day_of_hour: the database's
 * own words. */
#define VERIFY_WRONG_MONTHS(t, p, month_of_hour)                                                   \
	"SELECT count(*) FROM (SELECT 1 FROM (SELECT " p " AS parent, month, requests FROM " t     \
	"_months UNION ALL SELECT " p ", " month_of_hour ", -requests FROM " t "_hours) AS c "     \
	"GROUP BY parent, month HAVING sum(requests) <> 0) AS wrong"
/* own: the counts of `days` by `name`; negative: those of `hours`; sums: what must not be; also: a
 * further condition that ends with AND. */
#define VERIFY_WRONG_DAYS(t, p, hours, days, name, own, negative, sums, day_of_hour, also)         \
	"SELECT count(*) FROM (SELECT 1 FROM usage_rolled s CROSS JOIN (SELECT " p " AS parent, "  \
	"day, " name ", " own " FROM " days " UNION ALL SELECT " p ", " day_of_hour ", " name      \
	", " negative " FROM " hours ") AS c WHERE s.source = '" t "' AND " also                   \
	"day < s.days_to GROUP BY parent, day, " name " HAVING " sums ") AS wrong"
/* WRONG_DAYS: VERIFY_WRONG_DAYS with the words of a database. */
#define VERIFY_WRONG_TOOL_DAYS(WRONG_DAYS, t, p)                                                   \
	WRONG_DAYS(t, p, t "_hours", t "_days", "tool_name",                                       \
		"requests, successful, failed, time_ms, timed",                                    \
		"-requests, -successful, -failed, -time_ms, -timed",                               \
		"sum(requests) <> 0 OR sum(successful) <> 0 OR sum(failed) <> 0 OR "               \
		"sum(time_ms) <> 0 OR sum(timed) <> 0")
#define VERIFY_WRONG_CAPABILITY_DAYS(WRONG_DAYS, p)                                                \
	WRONG_DAYS("a2a_usage", p, "a2a_usage_capabilities", "a2a_usage_capability_days",          \
		"capability", "requests", "-requests", "sum(requests) <> 0")

struct verify_report;
/* One of `count` rows; place: "" or another way to locate it. */
void verify_bad_row(struct verify_report *report, const struct verify_rule *rule, const char *id,
	const char *place, long long count);

#endif
