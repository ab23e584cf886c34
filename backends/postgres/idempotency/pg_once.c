#include "pg_once.h"

#include <stdlib.h>
#include <string.h>

#include "../../execute.h"
#include "../../idempotency.h"
#include "../pg_store.h"
#include "../sending/parameters.h"
#include "key_rows.h"

enum { KEY_PARAMETERS = 5 };

#define ROW_WHERE                                                                                  \
	" INSERT INTO idempotency_keys AS k " KEY_COLUMNS " SELECT $1::bigint, $2::text, "         \
	"$3::text, $4::text, $5::text, " KEY_NOW_US " WHERE "

/* By what the statement's rows mean: one is the effect of the write, or the answer, or the first of
 * many that names a row that is not there. */
static const char effect_sql[] = ROW_WHERE "EXISTS (SELECT FROM done)" KEY_REPLACES_OLD;
static const char answer_sql[] = ROW_WHERE "EXISTS (SELECT FROM done)" KEY_REPLACES_OLD
					   " RETURNING (SELECT result FROM done) AS result";
static const char missing_sql[] =
	", kept AS (" ROW_WHERE "NOT EXISTS (SELECT FROM done)" KEY_REPLACES_OLD
	") SELECT * FROM done";

static const struct statement *once_statement(const struct call *call)
{
	return &call->method->statements[BACKEND_POSTGRES];
}

bool pg_once_is(const struct call *call)
{
	return call->idempotency != NULL && !call->idempotency->look && call->within == NULL &&
		once_statement(call)->once != NULL;
}

/* The answer as it will be, from the bind parameter that it repeats. */
static int answer_before(const struct postgres_store *store, struct call *call)
{
	int bind = once_statement(call)->once_bind;

	(void)execute_begin(call);
	if (bind >= 0) {
		struct value column = call->values[bind];

		if (execute_row(call, store->settings.seal, &column) < 0)
			return -1;
	}
	return execute_end(call, call->method->row_binds > 0 ? execute_row_count(call) : 1);
}

bool pg_once_prepare(const struct postgres_store *store, struct call *call)
{
	struct idempotency *key = call->idempotency;

	if (key->row.digest == NULL &&
		(answer_before(store, call) < 0 ||
			idempotency_make(call, store->settings.seal, &key->row) < 0)) {
		key->row.digest = NULL;
		key->look = true;
	}
	execute_restart(call);
	return !key->look;
}

/* NULL: out of memory. */
static const char *once_sql(struct postgres_store *store, const struct method *method)
{
	const struct statement *statement = &method->statements[BACKEND_POSTGRES];
	const char *end = method->row_binds > 0 ? missing_sql
		: statement->once_bind >= 0     ? answer_sql
						: effect_sql;
	size_t length = strlen(statement->once), end_size = strlen(end) + 1;
	char **text = &store->once_texts[method->index];

	if (*text == NULL && (*text = malloc(length + end_size)) != NULL) {
		memcpy(*text, statement->once, length);
		memcpy(*text + length, end, end_size);
	}
	return *text;
}

struct item *pg_once_send(struct postgres_store *store, struct pg_connection *connection,
	struct call *call, const struct parameters *own)
{
	const struct idempotency *key = call->idempotency;
	const struct method *method = call->method;
	unsigned count = once_statement(call)->bind_count;
	char uid[8];
	const char *values[KEY_PARAMETERS + CATALOG_MAX_VALUES] = {
		uid, key->key, method->name, key->row.digest, key->row.answer};
	int lengths[KEY_PARAMETERS + CATALOG_MAX_VALUES] = {sizeof uid, key->length,
		method->name_length, IDEMPOTENCY_DIGEST, (int)key->row.answer_length};
	int formats[KEY_PARAMETERS + CATALOG_MAX_VALUES] = {1, 1, 1, 1, 1};
	const char *sql = once_sql(store, method);

	if (sql == NULL)
		return NULL;
	key_rows_number(uid, key->uid, sizeof uid);
	memcpy(values + KEY_PARAMETERS, own->values, count * sizeof *values);
	memcpy(lengths + KEY_PARAMETERS, own->lengths, count * sizeof *lengths);
	memcpy(formats + KEY_PARAMETERS, own->formats, count * sizeof *formats);
	return pg_queue_sql(store, connection, call,
		&(struct pg_queue_statement){.kind = ITEM_CALL,
			.number = PG_PREPARED_ONCE + method->index,
			.name = method->name,
			.suffix = ".once",
			.sql = sql,
			.values = values,
			.lengths = lengths,
			.formats = formats,
			.count = KEY_PARAMETERS + (int)count});
}

void pg_once_free(char **texts)
{
	for (size_t i = 0; texts != NULL && i < catalog_method_count; i++)
		free(texts[i]);
	free(texts);
}
