/* Schema versions. Thread: whoever holds the connection. */
#ifndef PIERRE_SQLITE_MIGRATE_H
#define PIERRE_SQLITE_MIGRATE_H

#include "../../protocol/buffer.h"
#include "session.h"

/* Number of the newest migration in the database; 0 without any; -1 on failure (err->exit_code
 * set). */
int64_t migrate_version(struct session *session, struct err *err);
/* Who is told of an upgrade; either may be NULL. */
struct migrate_watch {
	void (*progress)(const char *what);
	void (*log)(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
};

/* Applies what is missing, each in a transaction of its own; appends the names as JSON array items
 * ("a","b") to `applied`. A migration leaves alone what is not ours: see migrate.c. */
int migrate_apply(struct session *session, struct buffer *applied,
	const struct migrate_watch *watch, struct err *err);
/* The tables as the migrations up to that version make them, in memory; session_close in either
 * case. */
int migrate_reference(struct session *session, int64_t version, struct err *err);
/* Refuses a schema that is newer than this program, or (current_only) older. */
int migrate_check(struct session *session, bool current_only, struct err *err);

#endif
