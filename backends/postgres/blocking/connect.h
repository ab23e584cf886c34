/* Connecting and asking, blocking. Thread: any. */
#ifndef PIERRE_PG_CONNECT_H
#define PIERRE_PG_CONNECT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "../../../protocol/error.h"

/* Advisory: shared by each session, exclusively held by a transfer. */
#define POSTGRES_USE_LOCK "7235434120189153125"

/* The form of a URL; exit_code 78. */
int connect_check_url(const char *url, struct err *err);
PGconn *connect_postgres(const char *url, uint64_t timeout_ms, char error[ERR_MESSAGE_MAX]);
/* Something has come that the socket does not show. */
bool connect_unread(PGconn *pq);
/* The last result; NULL: no answer in time. */
PGresult *connect_ask(PGconn *pq, const char *sql);
/* A session's own settings, for the transaction. */
extern const char postgres_settings_sql[];
/* The same with their values written out. */
int connect_settings(PGconn *pq, char **sql, struct err *err);
/* One statement with them. */
PGresult *connect_query(PGconn *pq, const char *sql, int count, const char *const *values);
/* The same as connect_ask. */
PGresult *connect_question(PGconn *pq, const char *sql);
/* The pooler keeps transactions whole. */
int connect_check_pooler(PGconn *pq, struct err *err);
/* Its session keeps a transfer out; false: one is under way. */
bool connect_in_use(PGconn *pq);
/* No pooler between: statements prepared by name are found again. */
bool connect_is_direct(PGconn *pq);

#endif
