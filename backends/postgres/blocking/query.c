#include "query.h"

#include <sysexits.h>

#include "../result.h"
#include "connect.h"
#include "migrate.h"

int query_failed(PGconn *pq, const PGresult *result, struct err *err)
{
	if (PQstatus(pq) != CONNECTION_OK || result == NULL)
		return err_set(err, ERR_UNAVAILABLE, "the connection to the database was lost");
	if (result_in_class(result, "42501")) {
		char right[POSTGRES_RIGHT_MAX];

		migrate_missing_right(pq, right);
		return err_set(err, ERR_STORAGE, "the database role lacks the right to do this: %s",
			right);
	}
	if (result_in_class(result, "53100"))
		return err_set(err, ERR_STORAGE, "the database server's disk is full");
	return err_set(err, ERR_UNAVAILABLE, "the database refused it for now");
}

PGresult *query_run(
	PGconn *pq, const char *sql, int count, const char *const *values, struct err *err)
{
	PGresult *result = connect_query(pq, sql, count, values);
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return result;
	(void)query_failed(pq, result, err);
	PQclear(result);
	return NULL;
}

int query_execute(
	PGconn *pq, const char *sql, int count, const char *const *values, struct err *err)
{
	PGresult *result = query_run(pq, sql, count, values, err);

	PQclear(result);
	return result != NULL ? 0 : -1;
}

int query_refused(PGconn *pq, const PGresult *result, const char *what, struct err *err)
{
	char right[POSTGRES_RIGHT_MAX];

	if (result == NULL || !result_in_class(result, "42501"))
		return err_exit(err, EX_UNAVAILABLE, "%s: the database refused it", what);
	migrate_missing_right(pq, right);
	return err_exit(err, EX_CONFIG, "%s: the database role lacks the right to do this: %s",
		what, right);
}
