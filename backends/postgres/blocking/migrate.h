/* Schema versions of PostgreSQL; blocking, on a connection that is not in pipeline mode. */
#ifndef PIERRE_PG_MIGRATE_H
#define PIERRE_PG_MIGRATE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "../../../protocol/buffer.h"
#include "../../../protocol/error.h"

enum { POSTGRES_RIGHT_MAX = 160 };
/* After an error 42501, outside of a transaction: the first missing right, as in "UPDATE on table
 * users". */
void migrate_missing_right(PGconn *pq, char right[POSTGRES_RIGHT_MAX]);
int64_t migrate_schema(PGconn *pq, struct err *err);
int migrate_check_schema(PGconn *pq, bool current_only, struct err *err);
int migrate_postgres(
	PGconn *pq, struct buffer *applied, void (*progress)(const char *what), struct err *err);

#endif
