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

struct verify_report;
/* One of `count` rows; place: "" or another way to locate it. */
void verify_bad_row(struct verify_report *report, const struct verify_rule *rule, const char *id,
	const char *place, long long count);

#endif
