/* libFuzzer: rows that a strange or hostile PostgreSQL server gives, for every method with rows: any types, lengths and bytes. Whatever is
 * answered is JSON; whatever is refused is so with an error. The input is a method's byte, then for each value its type's byte, its length's
 * byte (255: null) and its bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../backends/execute.h"
#include "../../backends/postgres/postgres.h"
#include "../../protocol/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Oid oids[] = {16, 20, 21, 23, 25, 701, 1043, 1184, 2950, 705, 0, 114};
static struct postgres_store store;

static PGresult *made(const struct shape *shape, const uint8_t *data, size_t size)
{
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc columns[CATALOG_MAX_COLUMNS];
	const uint8_t *end = data + size;

	memset(columns, 0, sizeof columns);
	for (int i = 0; i < shape->column_count; i++) {
		columns[i].name = (char *)(uintptr_t)shape->columns[i].name;
		columns[i].format = 1;
		columns[i].typid = data < end ? oids[*data++ % (sizeof oids / sizeof oids[0])] : 25;
	}
	if (result == NULL || !PQsetResultAttrs(result, shape->column_count, columns))
		abort();
	for (int row = 0; row < 3 && data < end; row++)
		for (int i = 0; i < shape->column_count; i++) {
			int length = data < end ? *data++ : 0;

			if (length == 255)
				length = -1;
			if (length > end - data)
				length = (int)(end - data);
			if (!PQsetvalue(result, row, i, length < 0 ? NULL : (char *)(uintptr_t)data, length))
				abort();
			data += length > 0 ? length : 0;
		}
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char key[SEAL_KEY_BYTES];
	struct value values[CATALOG_MAX_VALUES] = {0};
	struct call call = {.values = values};
	struct json json = {0};
	struct err err;
	PGresult *result;

	if (size < 1)
		return 0;
	if (store.settings.seal == NULL && seal_new(&store.settings.seal, key, false, &err) < 0)
		abort();
	call.method = &catalog_methods[data[0] % catalog_method_count];
	if (call.method->shape == NULL || call.method->statements[BACKEND_POSTGRES].sql == NULL)
		return 0;
	arena_init(&call.arena);
	result = made(call.method->shape, data + 1, size - 1);
	if (execute_begin(&call) == 0 && result_rows(&store, &call, result) == 0) {
		if (call.err.kind != ERR_NONE || json_scan(&json, call.answer.data, call.answer.length, 1000, &err) < 0)
			abort();
	} else if (call.err.kind == ERR_NONE || call.answer.length != call.answer_start) {
		abort();
	}
	PQclear(result);
	json_free(&json);
	arena_free(&call.arena);
	buffer_free(&call.answer);
	return 0;
}
