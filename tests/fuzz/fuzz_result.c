/* libFuzzer: rows from an unusual or hostile PostgreSQL server, for every method with rows: any
 * types, lengths and bytes. An answer is always JSON, and a refusal always has an error. The
 * input is a method's byte, whose high bit requests the merged statement if there is one, then a
 * type's byte for each column, then for each value its length's byte (255: null) and its bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../backends/execute.h"
#include "../../backends/postgres/pg_store.h"
#include "../../backends/postgres/result.h"
#include "../../protocol/json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Oid oids[] = {16, 20, 21, 23, 25, 701, 1043, 1184, 2950, 705, 0, 114};
static struct postgres_store store;

enum { MANY = 3 };

/* more: a column for each row's position, after the row schema's. */
static PGresult *made(
	const struct row_schema *row_schema, int more, const uint8_t *data, size_t size)
{
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc columns[CATALOG_MAX_COLUMNS + 1];
	const uint8_t *end = data + size;
	int count = row_schema->column_count + more;

	memset(columns, 0, sizeof columns);
	for (int i = 0; i < count; i++) {
		columns[i].name = i < row_schema->column_count
			? (char *)(uintptr_t)row_schema->columns[i].name
			: (char[]){"place"};
		columns[i].format = 1;
		columns[i].typid = data < end ? oids[*data++ % (sizeof oids / sizeof oids[0])] : 25;
	}
	if (result == NULL || !PQsetResultAttrs(result, count, columns))
		abort();
	for (int row = 0; row < 3 && data < end; row++)
		for (int i = 0; i < count; i++) {
			int length = data < end ? *data++ : 0;

			if (length == 255)
				length = -1;
			if (length > end - data)
				length = (int)(end - data);
			if (!PQsetvalue(result, row, i, length < 0 ? NULL : (char *)(uintptr_t)data,
				    length))
				abort();
			data += length > 0 ? length : 0;
		}
	return result;
}

/* The result is an answer that is JSON, or an error and nothing else. */
static void judge(struct call *call)
{
	struct json json = {0};
	struct err err;

	if (call->err.kind != ERR_NONE
			? call->answer.length != call->answer_start
			: json_scan(&json, call->answer.data, call->answer.length, 1000, &err) < 0)
		abort();
	json_scan_free(&json);
}

static void one(const struct method *method, const uint8_t *data, size_t size)
{
	struct value values[CATALOG_MAX_VALUES] = {0};
	struct call call = {.method = method, .values = values};
	PGresult *result = made(method->row_schema, 0, data, size);
	int outcome;

	arena_init(&call.arena);
	outcome = execute_begin(&call) < 0 || result_rows(&store, &call, result) < 0 ? -1 : 0;
	if ((outcome < 0) != (call.err.kind != ERR_NONE))
		abort();
	judge(&call);
	PQclear(result);
	arena_free(&call.arena);
	buffer_free(&call.answer);
}

static void many(const struct method *method, const uint8_t *data, size_t size)
{
	struct value values[MANY][CATALOG_MAX_VALUES] = {0};
	struct call calls[MANY] = {0}, *list[MANY];
	PGresult *result = made(method->row_schema, 1, data, size);

	for (int i = 0; i < MANY; i++) {
		calls[i].method = method;
		calls[i].values = values[i];
		list[i] = &calls[i];
		arena_init(&calls[i].arena);
	}
	result_many(&store, list, MANY, result);
	for (int i = 0; i < MANY; i++) {
		judge(&calls[i]);
		arena_free(&calls[i].arena);
		buffer_free(&calls[i].answer);
	}
	PQclear(result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char key[SEAL_KEY_BYTES];
	const struct method *method;
	struct err err;

	if (size < 1)
		return 0;
	if (store.settings.seal == NULL && seal_new(&store.settings.seal, key, false, &err) < 0)
		abort();
	method = &catalog_methods[(data[0] & 127) % catalog_method_count];
	if (method->row_schema == NULL || method->statements[BACKEND_POSTGRES].sql == NULL)
		return 0;
	if (data[0] < 128)
		one(method, data + 1, size - 1);
	else if (method->statements[BACKEND_POSTGRES].many != NULL)
		many(method, data + 1, size - 1);
	return 0;
}
