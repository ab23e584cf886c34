#include "pg_replay.h"

#include <stdlib.h>
#include <string.h>

#include "../../../protocol/value.h"
#include "../../execute.h"
#include "../../idempotency.h"
#include "../pg_store.h"
#include "../result.h"
#include "../sending/pg_queue.h"
#include "key_rows.h"
#include "pg_once.h"

enum { OID_INT8 = 20, OID_TEXT = 25, FIND_ARRAYS = 2, ADD_ARRAYS = 5, FOUND_COLUMNS = 4 };
enum { ARRAY_HEAD = 20 }; /* bytes before an array's first element */

/* Locking a found key makes the transaction one that writes: its commit waits for a synchronous
 * standby, which the commit of the key may not have done. */
static const char find_sql[] =
	"SELECT q.number, k.method, k.digest, k.answer FROM unnest($1::bigint[], $2::text[]) WITH "
	"ORDINALITY AS q (uid, key, number) CROSS JOIN LATERAL (SELECT method, digest, answer FROM "
	"idempotency_keys WHERE uid = q.uid AND key = q.key AND created_us > " KEY_OLD_US
	" LIMIT 1 FOR UPDATE) AS k";
static const char add_sql[] =
	"INSERT INTO idempotency_keys AS k " KEY_COLUMNS " SELECT *, " KEY_NOW_US
	" FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], "
	"$5::text[])" KEY_REPLACES_OLD;
static const char forget_sql[] =
	"DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(SELECT ctid FROM idempotency_keys "
	"WHERE created_us <= " KEY_OLD_US
	" ORDER BY created_us LIMIT 1000 FOR UPDATE SKIP LOCKED))";
enum { FORGET_MAX = 1000 };
static const uint64_t forget_ns = UINT64_C(3600000000000);

static bool same_idempotency(const struct idempotency *a, const struct idempotency *b)
{
	return a->uid == b->uid && a->length == b->length &&
		a->key[a->length - 1] == b->key[a->length - 1] && /* keys often begin alike */
		memcmp(a->key, b->key, a->length) == 0;
}

bool pg_replay_fits(
	const struct postgres_store *store, const struct pg_batch *batch, struct call *call)
{
	if (batch->keyed_count >= PG_BATCH_KEYED_MAX ||
		(pg_once_is(call) && !pg_once_prepare(store, call)))
		return false;
	for (unsigned i = 0; i < batch->keyed_count; i++)
		if (same_idempotency(batch->keyed[i]->idempotency, call->idempotency))
			return false;
	return true;
}

void pg_replay_gather(struct pg_batch *batch, struct call *call)
{
	batch->keyed[batch->keyed_count++] = call;
	if (pg_once_is(call))
		return;
	batch->keyed[batch->keyed_count - 1] = batch->keyed[batch->looked_count];
	batch->keyed[batch->looked_count++] = call;
}

static int compare_keys(const void *left, const void *right)
{
	const struct idempotency *a = (*(struct call *const *)left)->idempotency,
				 *b = (*(struct call *const *)right)->idempotency;
	int difference = memcmp(a->key, b->key, a->length < b->length ? a->length : b->length);

	if (a->uid != b->uid)
		return a->uid < b->uid ? -1 : 1;
	return difference != 0 ? difference : (int)a->length - (int)b->length;
}

/* The elements of arrays, side by side, in libpq's binary form. */
struct arrays {
	const char *values[ADD_ARRAYS];
	int lengths[ADD_ARRAYS], formats[ADD_ARRAYS];
};

/* texts: one element after the other; ptr NULL: NULL. */
static bool put_array(struct arena *arena, struct arrays *arrays, unsigned place, unsigned oid,
	const struct idempotency_text *texts, unsigned count)
{
	size_t size = ARRAY_HEAD;
	char *data, *end;

	for (unsigned i = 0; i < count; i++)
		size += 4 + (texts[i].ptr != NULL ? texts[i].length : 0);
	data = size <= INT32_MAX ? arena_alloc(arena, size) : NULL;
	if (data == NULL)
		return false;
	end = key_rows_number(data, 1, 4);    /* dimensions */
	end = key_rows_number(end, 1, 4);     /* it may hold NULLs */
	end = key_rows_number(end, oid, 4);   /* of the elements */
	end = key_rows_number(end, count, 4); /* their number */
	end = key_rows_number(end, 1, 4);     /* the first one's */
	for (unsigned i = 0; i < count; i++) {
		end = key_rows_number(end, texts[i].ptr != NULL ? texts[i].length : UINT32_MAX, 4);
		if (texts[i].ptr == NULL)
			continue;
		memcpy(end, texts[i].ptr, texts[i].length);
		end += texts[i].length;
	}
	arrays->values[place] = data;
	arrays->lengths[place] = (int)size;
	arrays->formats[place] = 1;
	return true;
}

/* The first two arrays: whose keys, and which. */
static bool put_keys_of(
	struct arena *arena, struct arrays *arrays, struct call *const *calls, unsigned count)
{
	struct idempotency_text *texts = arena_calloc(arena, count, sizeof *texts);
	char *uids = arena_alloc(arena, (size_t)count * 8);

	if (texts == NULL || uids == NULL)
		return false;
	for (unsigned i = 0; i < count; i++) {
		(void)key_rows_number(uids + (size_t)i * 8, calls[i]->idempotency->uid, 8);
		texts[i] = (struct idempotency_text){uids + (size_t)i * 8, 8};
	}
	if (!put_array(arena, arrays, 0, OID_INT8, texts, count))
		return false;
	for (unsigned i = 0; i < count; i++)
		texts[i] = (struct idempotency_text){
			calls[i]->idempotency->key, calls[i]->idempotency->length};
	return put_array(arena, arrays, 1, OID_TEXT, texts, count);
}

static bool send_arrays(struct postgres_store *store, struct pg_connection *connection,
	enum item_kind kind, const struct arrays *arrays)
{
	bool find = kind == ITEM_FIND_KEYS;

	return pg_queue_sql(store, connection, connection->back->keyed[0],
		       &(struct pg_queue_statement){.kind = kind,
			       .number = PG_PREPARED_KEYS + (find ? 0 : 1),
			       .name = find ? "find_keys" : "add_keys",
			       .suffix = "",
			       .sql = find ? find_sql : add_sql,
			       .values = arrays->values,
			       .lengths = arrays->lengths,
			       .formats = arrays->formats,
			       .count = find ? FIND_ARRAYS : ADD_ARRAYS}) != NULL;
}

bool pg_replay_ask(struct postgres_store *store, struct pg_connection *connection)
{
	struct pg_batch *batch = connection->back;
	struct arrays arrays;
	bool sent;

	if (batch->looked_count == 0)
		return true;
	/* All batches take the keys' locks in this order. */
	if (batch->looked_count > 1)
		qsort(batch->keyed, batch->looked_count, sizeof(struct call *), compare_keys);
	sent = put_keys_of(&store->sending, &arrays, batch->keyed, batch->looked_count) &&
		send_arrays(store, connection, ITEM_FIND_KEYS, &arrays);
	arena_reset(&store->sending);
	return sent;
}

static struct idempotency_text text_at(const PGresult *result, int row, int column)
{
	if (PQgetisnull(result, row, column))
		return (struct idempotency_text){NULL, 0};
	return (struct idempotency_text){
		PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

static bool found_row(struct postgres_store *store, struct pg_batch *batch, const PGresult *result,
	int row, bool *seen)
{
	uint64_t number =
		PQgetlength(result, row, 0) == 8 ? result_number(PQgetvalue(result, row, 0), 8) : 0;
	struct call *call;

	if (number < 1 || number > batch->looked_count || PQgetisnull(result, row, 1) ||
		PQgetisnull(result, row, 2))
		return false;
	seen[number - 1] = true;
	call = batch->keyed[number - 1];
	if (call->idempotency->known) {
		(void)idempotency_replay(call, store->settings.seal, text_at(result, row, 1),
			text_at(result, row, 2), text_at(result, row, 3));
	} else {
		call->idempotency->known = call->idempotency->doubtful = batch->replay = true;
	}
	return true;
}

bool pg_replay_found(
	struct postgres_store *store, struct pg_connection *connection, const PGresult *result)
{
	struct pg_batch *batch = connection->front;
	bool seen[PG_BATCH_KEYED_MAX] = {false};

	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQnfields(result) != FOUND_COLUMNS ||
		PQftype(result, 0) != OID_INT8)
		return false;
	for (int row = 0; row < PQntuples(result); row++)
		if (!found_row(store, batch, result, row, seen))
			return false;
	for (unsigned i = 0; i < batch->looked_count; i++) {
		struct idempotency *key = batch->keyed[i]->idempotency;

		if (!key->known || seen[i])
			continue;
		key->known = false; /* its time has ended meanwhile */
		batch->replay = true;
	}
	return true;
}

static bool store_keys(struct postgres_store *store, struct pg_connection *connection,
	struct call *const *calls, unsigned count)
{
	struct arena *arena = &store->sending;
	struct idempotency_text *texts = arena_calloc(arena, 3 * (size_t)count, sizeof *texts);
	struct idempotency_text *digests, *answers;
	struct arrays arrays;

	if (texts == NULL || !put_keys_of(arena, &arrays, calls, count))
		return false;
	digests = texts + count;
	answers = digests + count;
	for (unsigned i = 0; i < count; i++) {
		const struct method *method = calls[i]->method;
		struct idempotency_row row;

		if (idempotency_make(calls[i], store->settings.seal, &row) < 0)
			return false;
		texts[i] = (struct idempotency_text){method->name, method->name_length};
		digests[i] = (struct idempotency_text){row.digest, IDEMPOTENCY_DIGEST};
		answers[i] = (struct idempotency_text){row.answer, row.answer_length};
	}
	return put_array(arena, &arrays, 2, OID_TEXT, texts, count) &&
		put_array(arena, &arrays, 3, OID_TEXT, digests, count) &&
		put_array(arena, &arrays, 4, OID_TEXT, answers, count) &&
		send_arrays(store, connection, ITEM_ADD_KEYS, &arrays);
}

bool pg_replay_add(struct postgres_store *store, struct pg_connection *connection)
{
	struct pg_batch *batch = connection->back;
	struct call *calls[PG_BATCH_KEYED_MAX];
	unsigned count = 0;
	bool sent;

	for (unsigned i = 0; i < batch->looked_count; i++)
		if (!batch->keyed[i]->idempotency->known && batch->keyed[i]->err.kind == ERR_NONE)
			calls[count++] = batch->keyed[i];
	if (count == 0)
		return true;
	sent = store_keys(store, connection, calls, count);
	arena_reset(&store->sending);
	return sent;
}

bool pg_replay_collided(
	struct pg_connection *connection, const struct item *item, const PGresult *result)
{
	struct pg_batch *batch = connection->front;
	bool once = item->kind == ITEM_CALL && item->count == 0 && pg_once_is(item->call);

	if ((!once && item->kind != ITEM_ADD_KEYS) || !result_in_class(result, "23"))
		return false;
	/* A refusal of the call's own statement: pg_replay_refused. */
	if (once && (result_in_class(result, "23505") || result_in_class(result, "23503")))
		return false;
	batch->replay = true;
	batch->failure = CALL_RETRY;
	return true;
}

bool pg_replay_alone(struct call *call, bool collided)
{
	struct idempotency *key = call->idempotency;

	if (key == NULL || !collided)
		return false;
	if (key->look)
		return true;
	key->look = true;
	return false;
}

static bool is_refusal(const struct call *call)
{
	return call->err.kind == ERR_CONFLICT || call->err.kind == ERR_NOT_FOUND;
}

void pg_replay_refused(struct pg_batch *batch, const struct call *failed)
{
	if (failed->idempotency == NULL || !is_refusal(failed))
		return;
	for (unsigned i = 0; i < batch->keyed_count; i++)
		batch->keyed[i]->idempotency->look = true;
}

bool pg_replay_forget(struct postgres_store *store, struct pg_connection *connection)
{
	store->forget_at = clock_ns() + forget_ns;
	return pg_queue_settings(store, connection) &&
		pg_queue_word(connection, ITEM_FORGET_KEYS, forget_sql) &&
		pg_queue_sync(connection);
}

void pg_replay_forgotten(struct postgres_store *store, PGresult *result)
{
	if (strtoul(PQcmdTuples(result), NULL, 10) >= FORGET_MAX)
		store->forget_at = clock_ns();
}

bool pg_replay_looks_again(struct call *call)
{
	struct idempotency *key = call->idempotency;

	if (key == NULL || key->known || key->refused || !is_refusal(call))
		return false;
	key->refused = key->look = true;
	return true;
}

void pg_replay_doubt(struct call *call)
{
	if (call->idempotency->doubtful && call->err.kind != ERR_NONE &&
		call->err.outcome == OUTCOME_NONE)
		call->err.outcome = OUTCOME_UNKNOWN;
}
