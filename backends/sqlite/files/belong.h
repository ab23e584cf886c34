/* Does the log or journal beside a database belong to it? SQLite replays either into whatever file
 * has the name. Reading only. */
#ifndef PIERRE_SQLITE_BELONG_H
#define PIERRE_SQLITE_BELONG_H

#include "../session.h"

/* The file is there: refuses (65) what would be replayed into a file that it was not made for. */
int belong_check(const char *path, struct err *err);
/* The file is not there, or empty: refuses (65) to begin a new one beside the log of another. */
int belong_check_missing(const char *path, struct err *err);

/* Whether there is a log, or a journal, that holds anything. */
bool belong_has_log(const char *path);
bool belong_has_journal(const char *path);

/* The mark that is in the database itself: the next log is written on it. See belong.c. The
 * writer's thread. */
struct belong_mark {
	char current[17], previous[17];
	int64_t schema; /* SQLite's schema cookie then, or before */
	bool due;       /* the log is all in the database: the next transaction writes a new mark */
};

/* At start, before any call: the database gets a mark that no copy of it has. */
int belong_begin(struct session *session, struct belong_mark *mark, struct err *err);
/* Around a checkpoint: the schema cookie before it, and what is certain after it has moved all of
 * the log. */
int64_t belong_before_checkpoint(struct session *session);
void belong_after_checkpoint(struct session *session, struct belong_mark *mark, int64_t schema);
/* Within the writer's transaction, before its commit, when a mark is due. A result code; due is
 * cleared by the commit. */
int belong_write(struct session *session, const struct belong_mark *mark);

#endif
