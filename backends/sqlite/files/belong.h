/* Whether the log or journal beside a database belongs to it. SQLite replays either into any file
 * with the right name. Read only. */
#ifndef PIERRE_SQLITE_BELONG_H
#define PIERRE_SQLITE_BELONG_H

#include "../session.h"

/* For an existing file: refuses (65) a log that was made for another file. */
int belong_check(const char *path, struct err *err);
/* For a missing or empty file: refuses (65) to create one beside another's log. */
int belong_check_missing(const char *path, struct err *err);

/* Whether a non-empty log or journal exists. */
bool belong_has_log(const char *path);
bool belong_has_journal(const char *path);

/* The mark in the database, on which the next log is written. See belong.c. The writer's thread. */
struct belong_mark {
	char current[17], previous[17];
	int64_t schema; /* SQLite's schema cookie at that time, or earlier */
	bool due; /* the log is completely in the database: the next transaction writes a new mark
	           */
};

/* At start, before any call: writes a mark that no existing copy has. */
int belong_begin(struct session *session, struct belong_mark *mark, struct err *err);
/* Around a checkpoint: the schema cookie before it, and the state after it has moved the whole
 * log. */
int64_t belong_before_checkpoint(struct session *session);
void belong_after_checkpoint(struct session *session, struct belong_mark *mark, int64_t schema);
/* Within the writer's transaction, before its commit, when a mark is due. A result code; the commit
 * clears `due`. */
int belong_write(struct session *session, const struct belong_mark *mark);

#endif
