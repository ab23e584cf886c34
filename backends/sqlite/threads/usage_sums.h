/* Sums of usage rows by parent, hour and tool, in memory: what a step adds to the rollups.
 * Thread: one at a time. */
#ifndef PIERRE_SQLITE_USAGE_SUMS_H
#define PIERRE_SQLITE_USAGE_SUMS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../../protocol/arena.h"

struct session;

/* What is summed, in the order of the columns of …_hours. */
enum usage_sum {
	SUM_REQUESTS,
	SUM_SUCCESSFUL,
	SUM_FAILED,
	SUM_TIME_MS,
	SUM_TIMED,
	SUM_ODD,
	USAGE_SUMS
};

/* A stored text. One that is stored as a BLOB is another one than the text of its bytes. */
struct usage_text {
	const char *bytes;
	size_t length;
	bool blob;
};

struct usage_sums_entry {
	struct usage_sums_entry *next;
	uint64_t hash;
	struct usage_text parent, tool;
	int64_t hour;
	int64_t sums[USAGE_SUMS];
};

struct usage_sums {
	struct arena arena;
	struct usage_sums_entry **slots; /* a hash table with open addressing, never full */
	size_t mask;
	struct usage_sums_entry *entries; /* a list of all */
};

/* At most `entries` are added. False: out of memory. */
bool usage_sums_init(struct usage_sums *sums, size_t entries);
void usage_sums_free(struct usage_sums *sums); /* a zeroed struct is allowed */

/* The entry of a key; made with a copy of its texts, and zero sums, when it is new. NULL: out of
 * memory. */
struct usage_sums_entry *usage_sums_of(
	struct usage_sums *sums, struct usage_text parent, int64_t hour, struct usage_text tool);

/* A column's text, valid until the statement's next step. bytes NULL: out of memory. */
struct usage_text usage_sums_column(sqlite3_stmt *statement, int column);

/* Whether one is of an hour before `end`. */
bool usage_sums_any(const struct usage_sums *sums, int64_t end);
/* Stores those of hours before `end`. The statement takes the parent, the hour, the tool unless it
 * has three parameters, and as many of the sums as it has parameters left. A result code. */
int usage_sums_store(
	struct session *session, const char *sql, const struct usage_sums *sums, int64_t end);

#endif
