/* Schema versions of SQLite. Thread: the one that uses the connection. */
#ifndef PIERRE_SQLITE_MIGRATE_H
#define PIERRE_SQLITE_MIGRATE_H

#include "../../protocol/buffer.h"
#include "session.h"

/* Number of the newest migration in the database; 0 without any; -1 on failure (err->exit_code
 * set). */
int64_t migrate_version(struct session *session, struct err *err);
/* Receivers of progress; either may be NULL. */
struct migrate_watch {
	void (*progress)(const char *what);
	void (*log)(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
};

/* Applies missing migrations, each in its own transaction; appends their names as JSON array items
 * ("a","b") to `applied`. For what a migration must preserve see migrate.c. */
int migrate_apply(struct session *session, struct buffer *applied,
	const struct migrate_watch *watch, struct err *err);
/* The method `migrate`, outside any transaction. Returns the schema's version. */
int64_t migrate_call(struct session *session, struct call *call,
	void (*log)(int level, const char *format, ...));
/* Builds the tables of that version in memory from the migrations; call session_close in either
 * case. */
int migrate_reference(struct session *session, int64_t version, struct err *err);
/* Refuses a schema that is newer than this program, or (current_only) older. */
int migrate_check(struct session *session, bool current_only, struct err *err);

#endif
