/* Queues statements on a connection, and notes the results to come.
 *
 * prefix: pg_queue_ */
#ifndef PIERRE_PG_QUEUE_H
#define PIERRE_PG_QUEUE_H

#include <stdbool.h>

#include "../pg_batch.h"

struct pg_connection;
struct postgres_store;

/* A statement and its parameters in libpq's form. */
struct pg_queue_statement {
	enum item_kind kind;
	unsigned number;           /* index in connection->prepared */
	const char *name, *suffix; /* of the prepared statement, with the connection's generation */
	const char *sql;
	const char *const *values;
	const int *lengths, *formats;
	int count;
};

/* NULL: libpq refused. call: whom an error of the statement concerns. */
struct item *pg_queue_sql(struct postgres_store *store, struct pg_connection *connection,
	struct call *call, const struct pg_queue_statement *statement);
/* A statement without parameters. False: libpq refused. */
bool pg_queue_word(struct pg_connection *connection, enum item_kind kind, const char *sql);
/* Behind a pooler: the batch's settings. False as above. */
bool pg_queue_settings(struct postgres_store *store, struct pg_connection *connection);
/* The end of a transaction without a BEGIN. False as above. */
bool pg_queue_sync(struct pg_connection *connection);
/* Notes a result to come. */
struct item *pg_queue_expect(
	struct pg_connection *connection, enum item_kind kind, struct call *call);

#endif
