/* Schema versions. Thread: whoever holds the connection. */
#ifndef PIERRE_SQLITE_MIGRATE_H
#define PIERRE_SQLITE_MIGRATE_H

#include "../../protocol/buffer.h"
#include "session.h"

/* Number of the newest migration in the database; 0 without any; -1 on failure (err->exit_code set). */
int64_t migrate_version(struct session *session, struct err *err);
/* Applies what is missing, each in a transaction of its own; appends the names as JSON array items ("a","b") to `applied`. */
int migrate_apply(struct session *session, struct buffer *applied, void (*progress)(const char *what), struct err *err);
/* Refuses a schema that is newer than this program, or (current_only) older. */
int migrate_check(struct session *session, bool current_only, struct err *err);
/* Refuses (65) what holds tables, but none of an installation. */
int migrate_check_owner(struct session *session, struct err *err);

#endif
