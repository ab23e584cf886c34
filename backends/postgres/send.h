/* Sends a batch: its statements, and the results to expect.
 *
 * prefix: send_ */
#ifndef PIERRE_PG_SEND_H
#define PIERRE_PG_SEND_H

#include <stdbool.h>

#include "pg_batch.h"

struct pg_connection;
struct postgres_store;

/* A statement and its parameters in libpq's form. */
struct send_statement {
	enum item_kind kind;
	unsigned number;           /* index in connection->prepared */
	const char *name, *suffix; /* of the prepared statement, with the connection's generation */
	const char *sql;
	const char *const *values;
	const int *lengths, *formats;
	int count;
};

/* False: libpq refused, or out of memory. */
bool send_batch(struct postgres_store *store, struct pg_connection *connection);
/* The end of an open batch, after the results of its calls: new keys and the COMMIT of a
 * transaction, or a ROLLBACK, and the Sync. False as above. */
bool send_end(struct postgres_store *store, struct pg_connection *connection, bool commit);

/* NULL: libpq refused. call: whom an error of the statement concerns. */
struct item *send_sql(struct postgres_store *store, struct pg_connection *connection,
	struct call *call, const struct send_statement *statement);
/* Behind a pooler: the batch's settings. */
bool send_settings(struct postgres_store *store, struct pg_connection *connection);
/* A statement without parameters. */
bool send_word(struct pg_connection *connection, enum item_kind kind, const char *sql);
bool send_sync(struct pg_connection *connection);
/* Notes a result to come. */
struct item *send_expect(struct pg_connection *connection, enum item_kind kind, struct call *call);

#endif
