/* Connecting and querying, blocking. Thread: any. */
#ifndef PIERRE_PG_CONNECT_H
#define PIERRE_PG_CONNECT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "../../../protocol/error.h"
#include "../cluster/hosts.h"

/* Advisory lock: each session shares it, a transfer holds it exclusively. */
#define POSTGRES_USE_LOCK "7235434120189153125"

/* Checks the form of a URL; exit_code 78. */
int connect_check_url(const char *url, struct err *err);
/* Of several hosts only one that accepts writes is used, unless the URL says otherwise. */
PGconn *connect_postgres(
	const struct target *target, uint64_t timeout_ms, char error[ERR_MESSAGE_MAX]);
/* Whether received data is pending that the socket does not signal. */
bool connect_unread(PGconn *pq);
/* Returns the last result; NULL: no answer in time. */
PGresult *connect_ask(PGconn *pq, const char *sql);
PGresult *connect_ask_within(PGconn *pq, const char *sql, uint64_t timeout_ms);
/* Applies the session's own settings to the transaction. */
extern const char postgres_settings_sql[];
/* The same with the values written out. */
int connect_settings(PGconn *pq, char **sql, struct err *err);
/* Runs one statement with them. */
PGresult *connect_query(PGconn *pq, const char *sql, int count, const char *const *values);
/* Like connect_ask. */
PGresult *connect_question(PGconn *pq, const char *sql);
/* Whether the pooler keeps transactions on one server. */
int connect_check_pooler(PGconn *pq, struct err *err);
/* Whether its session now blocks a transfer; false: one is running. */
bool connect_in_use(PGconn *pq);
/* Whether no pooler is in between and prepared statements keep their names. */
bool connect_is_direct(PGconn *pq);

#endif
