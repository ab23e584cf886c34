#include "format.h"

#include <stdio.h>
#include <stdlib.h>

#include "../result.h"
#include "connect.h"
#include "query.h"

enum { HASH_TRIES = 5 };

int format_settle(PGconn *pq, const char *table, struct err *err)
{
	char sql[160];

	(void)snprintf(sql, sizeof sql,
		"SET LOCAL lock_timeout = '1s'; LOCK TABLE %s IN SHARE MODE", table);
	PGresult *result = connect_question(pq, sql);
	int code = 0;

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		code = result_in_class(result, "55P03")
			? err_set(err, ERR_UNAVAILABLE,
				  "a transaction of another program keeps the table %s locked",
				  table)
			: query_failed(pq, result, err);
	PQclear(result);
	return code;
}

int format_set(PGconn *pq, enum binding_format format, struct err *err)
{
	const char *const values[] = {binding_name(format)};

	return query_execute(pq,
		"INSERT INTO pierre_meta (key, value) VALUES ('token_format', $1) ON CONFLICT "
		"(key) DO UPDATE SET value = EXCLUDED.value",
		1, values, err);
}

int format_read(PGconn *pq, enum binding_format *format, struct err *err)
{
	PGresult *result = connect_question(pq, "SELECT pg_sequence_last_value('token_format')");
	int code = 0;

	if (PQresultStatus(result) == PGRES_TUPLES_OK && !PQgetisnull(result, 0, 0))
		*format = (enum binding_format)(atoi(PQgetvalue(result, 0, 0)) - 1);
	else
		code = query_refused(pq, result, "the format of the tokens cannot be read", err);
	PQclear(result);
	return code;
}

/* Two ranges of the unique index. */
int format_hash_sessions(PGconn *pq, uint64_t *found, struct err *err)
{
	PGresult *result = NULL;

	for (int tries = 0; tries < HASH_TRIES; tries++) {
		PQclear(result);
		result = connect_question(pq,
			"WITH held AS MATERIALIZED (SELECT id FROM a2a_sessions WHERE "
			"session_token < '" BINDING_HASH_MARK
			"' OR session_token >= '" BINDING_HASH_END
			"' ORDER BY session_token LIMIT 100 FOR UPDATE) "
			"UPDATE a2a_sessions AS s SET session_token = '" BINDING_HASH_MARK
			"' || encode(sha256(convert_to(s.session_token, 'UTF8')), 'hex') "
			"FROM held WHERE s.id = held.id");
		if (PQresultStatus(result) == PGRES_COMMAND_OK || !result_in_class(result, "40"))
			break; /* otherwise a deadlock with another transaction */
	}
	*found = PQresultStatus(result) == PGRES_COMMAND_OK
		? strtoull(PQcmdTuples(result), NULL, 10)
		: 0;
	int code = PQresultStatus(result) == PGRES_COMMAND_OK ? 0 : query_failed(pq, result, err);
	PQclear(result);
	return code;
}
