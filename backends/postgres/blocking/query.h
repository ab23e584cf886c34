/* Blocking statements about the key and the tokens, and their errors. */
#ifndef PIERRE_PG_QUERY_H
#define PIERRE_PG_QUERY_H

#include <libpq-fe.h>

#include "../../../protocol/error.h"

/* Runs a statement with text parameters; NULL after setting err. */
PGresult *query_run(
	PGconn *pq, const char *sql, int count, const char *const *values, struct err *err);
int query_execute(
	PGconn *pq, const char *sql, int count, const char *const *values, struct err *err);
/* Describe an error without naming SQL; the second one at start, with an exit_code. */
int query_failed(PGconn *pq, const PGresult *result, struct err *err);
int query_refused(PGconn *pq, const PGresult *result, const char *what, struct err *err);

#endif
