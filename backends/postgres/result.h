/* libpq's results as answers and errors. */
#ifndef PIERRE_PG_RESULT_H
#define PIERRE_PG_RESULT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "pg_connection.h"

#define POSTGRES_EPOCH                                                                             \
	INT64_C(946684800000000) /* 2000-01-01, PostgreSQL's epoch, in µs since 1970 */
/* SQLSTATE of the database's refusal of tokens that are not bound. */
#define RESULT_UNBOUND "PD003"
uint64_t result_number(const char *bytes, int count); /* in the binary format */

int result_rows(struct postgres_store *store, struct call *call, const PGresult *result);
/* Distributes the rows of a shared statement to its calls. Failures are the calls' own. */
void result_many(
	struct postgres_store *store, struct call **calls, unsigned count, const PGresult *result);
enum outcome result_error(struct call *call, const PGresult *result);
bool result_unserved(const PGresult *result); /* a pooler's message that it has no server */
bool result_fatal(const PGresult *result);    /* an error that ends the connection */
bool result_in_class(const PGresult *result, const char *prefix); /* by its SQLSTATE */

#endif
