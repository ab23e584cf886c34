/* Sends a batch: each call's statement, or one shared statement for adjacent look-ups of the same
 * kind. */
#include "send.h"

#include <stdio.h>
#include <string.h>

#include "../../protocol/value.h"
#include "../execute.h"
#include "../idempotency.h"
#include "idempotency/pg_replay.h"
#include "pg_store.h"
#include "result.h"

/* A shared statement costs as much more than a single one as some of these do. The planner assumes
 * ten keys for an array of unknown length, and keeps the plan only while it is no more expensive
 * than estimated. NULL keys match nothing and cost nothing. */
enum {
	MERGE_MIN = 6,
	MERGE_KEYS_MIN = 12,
	MERGE_MAX = 128,
	OID_UUID_KEY = 2950,
	OID_TEXT_KEY = 25
};

static void put_big_endian(char *bytes, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		bytes[i] = (char)(value & 0xFF);
}

/* The parameters of one statement, in libpq's form. */
struct parameters {
	const char *values[CATALOG_MAX_VALUES];
	int lengths[CATALOG_MAX_VALUES], formats[CATALOG_MAX_VALUES];
	char room[CATALOG_MAX_VALUES][24];
};

static int hex(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Binary where that saves a copy or a conversion. Text values go as binary: they have no NUL
 * terminator. */
static bool set_parameter(struct arena *arena, struct parameters *to, unsigned i,
	const struct bind_param *bind, const struct value *value)
{
	char *room = to->room[i], *copy;
	uint64_t bits;

	to->values[i] = room;
	to->formats[i] = 1;
	to->lengths[i] = 8;
	if (!value->set) {
		to->values[i] = NULL;
		return true;
	}
	switch ((enum type)bind->type) {
	case TYPE_BOOL:
		room[0] = (char)(value->i != 0);
		to->lengths[i] = 1;
		break;
	case TYPE_U16:
	case TYPE_U32:
	case TYPE_I64:
		to->formats[i] = 0;
		(void)snprintf(room, sizeof to->room[i], "%lld", (long long)value->i);
		break;
	case TYPE_F64:
		memcpy(&bits, &value->f, 8);
		put_big_endian(room, bits);
		break;
	case TYPE_TIMESTAMP:
		put_big_endian(room, (uint64_t)(value->i - POSTGRES_EPOCH));
		break;
	case TYPE_UUID:
		for (size_t from = 0, at = 0; at < 16; from += 2) {
			from += value->s.ptr[from] == '-';
			room[at++] =
				(char)(hex(value->s.ptr[from]) << 4 | hex(value->s.ptr[from + 1]));
		}
		to->lengths[i] = 16;
		break;
	case TYPE_DOCUMENT:
	case TYPE_JSON:
	case TYPE_STRINGS: /* jsonb: a version byte, then the text */
		copy = arena_alloc(arena, value->s.len + 1);
		if (copy == NULL)
			return false;
		copy[0] = 1;
		memcpy(copy + 1, value->s.ptr, value->s.len);
		to->values[i] = copy;
		to->lengths[i] = (int)value->s.len + 1;
		break;
	case TYPE_IP: /* a text that is not an address goes into its own column (COMPUTE_AWKWARD) */
		if ((value->flags & VALUE_AWKWARD) != 0) {
			to->values[i] = NULL;
			return true;
		}
		to->formats[i] = 0;
		to->values[i] = arena_copy(arena, value->s.ptr, value->s.len);
		return to->values[i] != NULL;
	default:
		to->values[i] = value->s.ptr;
		to->lengths[i] = (int)value->s.len;
		break;
	}
	return true;
}

static void put_int(struct buffer *to, uint32_t value)
{
	const char bytes[] = {
		(char)(value >> 24), (char)(value >> 16), (char)(value >> 8), (char)value};

	buffer_append(to, bytes, sizeof bytes);
}

/* The element type of an array of such values. */
static uint32_t array_oid(enum type type)
{
	switch (type) {
	case TYPE_BOOL:
		return 16;
	case TYPE_U16:
		return 23;
	case TYPE_U32:
	case TYPE_I64:
		return 20;
	case TYPE_F64:
		return 701;
	case TYPE_TIMESTAMP:
		return 1184;
	case TYPE_UUID:
		return OID_UUID_KEY;
	case TYPE_STRINGS:
	case TYPE_DOCUMENT:
	case TYPE_JSON:
		return 3802;
	default:
		return OID_TEXT_KEY;
	}
}

static bool put_element(struct postgres_store *store, const struct bind_param *bind,
	const struct value *value, struct buffer *to)
{
	struct parameters one;
	uint64_t number = (uint64_t)value->i;

	if (!value->set) {
		put_int(to, UINT32_MAX);
		return true;
	}
	switch ((enum type)bind->type) {
	case TYPE_U16:
		put_int(to, 4);
		put_int(to, (uint32_t)number);
		return true;
	case TYPE_U32:
	case TYPE_I64:
		put_int(to, 8);
		put_int(to, (uint32_t)(number >> 32));
		put_int(to, (uint32_t)number);
		return true;
	case TYPE_IP: /* as text */
		put_int(to, (uint32_t)value->s.len);
		buffer_append(to, value->s.ptr, value->s.len);
		return true;
	default:
		break;
	}
	if (!set_parameter(&store->sending, &one, 0, bind, value))
		return false;
	put_int(to, (uint32_t)one.lengths[0]);
	buffer_append(to, one.values[0], (size_t)one.lengths[0]);
	return true;
}

/* A text beside an address is NULL where the address is one, and the other way round. */
static struct value element_of(
	const struct bind_param *bind, const struct value *row, unsigned number)
{
	struct value value = bind->compute != COMPUTE_NONE ? row[bind->source] : row[number];

	if ((bind->compute == COMPUTE_AWKWARD && (value.flags & VALUE_AWKWARD) == 0) ||
		(bind->compute == COMPUTE_NONE && bind->type == TYPE_IP &&
			(value.flags & VALUE_AWKWARD) != 0))
		value.set = false;
	return value;
}

/* Appends one bind parameter's values of all rows, in the binary form of an array. */
static bool put_column(struct postgres_store *store, const struct call *call, unsigned number)
{
	const struct bind_param *bind = &call->method->binds[number];
	const unsigned width = call->method->row_binds;
	const struct value *rows = (const void *)call->values[width].s.ptr;
	uint32_t count = execute_row_count(call);

	put_int(&store->keys, 1); /* dimensions */
	put_int(&store->keys, 1); /* it may hold NULLs */
	put_int(&store->keys, array_oid((enum type)bind->type));
	put_int(&store->keys, count);
	put_int(&store->keys, 1); /* the first one's number */
	for (uint32_t row = 0; row < count; row++) {
		struct value value = element_of(bind, &rows[(size_t)row * width], number);

		if (bind->compute >= COMPUTE_TOKEN_HASHED &&
			bind->compute <= COMPUTE_TOKEN_UNHASHED) {
			const struct value token = value;

			if (!execute_token_value(
				    &store->sending, (enum compute)bind->compute, &token, &value))
				return false;
		}
		if (!put_element(store, bind, &value, &store->keys))
			return false;
	}
	return store->keys.failure == BUFFER_OK;
}

static bool holds_row(const struct method *method, unsigned number)
{
	const struct bind_param *bind = &method->binds[number];

	return number < method->row_binds ||
		(bind->compute != COMPUTE_NONE && bind->source >= 0 &&
			bind->source < method->row_binds);
}

/* The parameters of a statement for many rows: an array for each that has a value in each row. */
static bool set_columns(
	struct postgres_store *store, const struct call *call, struct parameters *to)
{
	const struct statement *statement = &call->method->statements[BACKEND_POSTGRES];
	size_t starts[CATALOG_MAX_VALUES];

	buffer_cut(&store->keys, 0);
	for (unsigned i = 0; i < statement->bind_count; i++) {
		unsigned number = statement->binds[i];

		starts[i] = store->keys.length;
		if (holds_row(call->method, number)
				? !put_column(store, call, number)
				: !set_parameter(&store->sending, to, i,
					  &call->method->binds[number], &call->values[number]))
			return false;
		to->lengths[i] = holds_row(call->method, number)
			? (int)(store->keys.length - starts[i])
			: to->lengths[i];
	}
	for (unsigned i = 0; i < statement->bind_count; i++)
		if (holds_row(call->method, statement->binds[i])) {
			to->values[i] = store->keys.data + starts[i];
			to->formats[i] = 1;
		}
	return true;
}

struct item *send_expect(struct pg_connection *connection, enum item_kind kind, struct call *call)
{
	struct item *item = &connection->batch.items[connection->batch.item_count++];

	*item = (struct item){.kind = (uint8_t)kind, .call = call};
	return item;
}

struct item *send_sql(struct postgres_store *store, struct pg_connection *connection,
	struct call *call, const struct send_statement *statement)
{
	struct item *item;
	char name[64];
	int sent;

	if (store->named && !connection->prepared[statement->number]) {
		(void)snprintf(name, sizeof name, "%s%s.%u", statement->name, statement->suffix,
			connection->generation);
		send_expect(connection, ITEM_PREPARE, call)->statement =
			(uint16_t)statement->number;
		if (PQsendPrepare(connection->pq, name, statement->sql, 0, NULL) != 1)
			return NULL;
		connection->prepared[statement->number] = true;
	}
	item = send_expect(connection, statement->kind, call);
	if (store->named) {
		(void)snprintf(name, sizeof name, "%s%s.%u", statement->name, statement->suffix,
			connection->generation);
		sent = PQsendQueryPrepared(connection->pq, name, statement->count,
			statement->values, statement->lengths, statement->formats, 1);
	} else {
		sent = PQsendQueryParams(connection->pq, statement->sql, statement->count, NULL,
			statement->values, statement->lengths, statement->formats, 1);
	}
	return sent == 1 ? item : NULL;
}

static bool send_call(
	struct postgres_store *store, struct pg_connection *connection, struct call *call)
{
	const struct method *method = call->method;
	const struct statement *statement;
	struct parameters to;
	bool sent;

	if (method == NULL) {
		bool step = call == &store->rollup.call; /* otherwise the health probe */

		(void)send_expect(connection, ITEM_CALL, call);
		return PQsendQueryParams(connection->pq,
			       step ? pg_rollup_sql(store)
				    : "SELECT pg_sequence_last_value('token_format') FROM pierre_meta "
				      "LIMIT 1",
			       0, NULL, NULL, NULL, NULL, 1) == 1;
	}
	statement = &method->statements[BACKEND_POSTGRES];
	if (method->row_binds > 0) {
		if (!set_columns(store, call, &to))
			return false;
	} else {
		for (unsigned i = 0; i < statement->bind_count; i++)
			if (!set_parameter(&store->sending, &to, i,
				    &method->binds[statement->binds[i]],
				    &call->values[statement->binds[i]]))
				return false;
	}
	sent = send_sql(store, connection, call,
		       &(struct send_statement){.kind = ITEM_CALL,
			       .number = method->index,
			       .name = method->name,
			       .suffix = "",
			       .sql = statement->sql,
			       .values = to.values,
			       .lengths = to.lengths,
			       .formats = to.formats,
			       .count = statement->bind_count}) != NULL;
	arena_reset(&store->sending);
	return sent;
}

/* The keys of connection->batch.merged[first…] as the binary form of an array. */
static bool put_keys(struct postgres_store *store, struct pg_connection *connection, unsigned first)
{
	const struct statement *statement =
		&connection->batch.merged[first]->method->statements[BACKEND_POSTGRES];
	const struct bind_param *bind =
		&connection->batch.merged[first]->method->binds[statement->binds[0]];
	unsigned count = connection->batch.merged_count - first,
		 places = count < MERGE_KEYS_MIN ? MERGE_KEYS_MIN : count;
	struct buffer *keys = &store->keys;
	struct parameters one;

	buffer_cut(keys, 0);
	put_int(keys, 1);              /* dimensions */
	put_int(keys, places > count); /* whether it holds NULLs */
	put_int(keys, bind->type == TYPE_UUID ? OID_UUID_KEY : OID_TEXT_KEY);
	put_int(keys, places);
	put_int(keys, 1); /* the first one's number */
	for (unsigned i = first; i < connection->batch.merged_count; i++) {
		struct call *call = connection->batch.merged[i];

		if (!set_parameter(
			    &store->sending, &one, 0, bind, &call->values[statement->binds[0]]))
			return false;
		put_int(keys, (uint32_t)one.lengths[0]);
		buffer_append(keys, one.values[0], (size_t)one.lengths[0]);
	}
	for (; count < places; count++)
		put_int(keys, UINT32_MAX);
	return keys->failure == BUFFER_OK;
}

static bool mergeable(const struct call *call)
{
	return call->route == ROUTE_TOGETHER &&
		call->method->statements[BACKEND_POSTGRES].many != NULL;
}

static bool reads(const struct call *call)
{
	return call->method != NULL && !method_may_write(call->method);
}

/* Collects the look-up at `node` and later ones of its kind, up to the next write: reads may be
 * reordered. */
static bool send_merged(
	struct postgres_store *store, struct pg_connection *connection, struct list *node)
{
	struct call *call = call_of(node);
	const struct method *method = call->method;
	unsigned first = connection->batch.merged_count;
	struct parameters keys;
	struct item *item;

	for (; node != &connection->batch.calls && reads(call_of(node)) &&
		connection->batch.merged_count - first < MERGE_MAX;
		node = node->next)
		if (call_of(node)->method == method && mergeable(call_of(node))) {
			call_of(node)->route = ROUTE_MERGED;
			connection->batch.merged[connection->batch.merged_count++] = call_of(node);
		}
	store->alike[method->index] =
		(uint16_t)(store->alike[method->index] - (connection->batch.merged_count - first));
	if (!put_keys(store, connection, first))
		return false;
	keys.values[0] = store->keys.data;
	keys.lengths[0] = (int)store->keys.length;
	keys.formats[0] = 1;
	item = send_sql(store, connection, call,
		&(struct send_statement){.kind = ITEM_CALL,
			.number = (unsigned)catalog_method_count + method->index,
			.name = method->name,
			.suffix = ".many",
			.sql = method->statements[BACKEND_POSTGRES].many,
			.values = keys.values,
			.lengths = keys.lengths,
			.formats = keys.formats,
			.count = 1});
	arena_reset(&store->sending);
	if (item == NULL)
		return false;
	store->merged += connection->batch.merged_count - first;
	item->first = (uint16_t)first;
	item->count = (uint16_t)(connection->batch.merged_count - first);
	return true;
}

/* Counts the reads of each kind from here to the next write. */
static void count_alike(
	struct postgres_store *store, const struct pg_connection *connection, struct list *node)
{
	memset(store->alike, 0, catalog_method_count * sizeof *store->alike);
	for (; node != &connection->batch.calls && reads(call_of(node)); node = node->next)
		store->alike[call_of(node)->method->index] =
			(uint16_t)(store->alike[call_of(node)->method->index] +
				mergeable(call_of(node)));
}

bool send_word(struct pg_connection *connection, enum item_kind kind, const char *sql)
{
	struct list *calls = &connection->batch.calls;

	(void)send_expect(connection, kind, list_empty(calls) ? NULL : call_of(list_first(calls)));
	return PQsendQueryParams(connection->pq, sql, 0, NULL, NULL, NULL, NULL, 1) == 1;
}

bool send_sync(struct pg_connection *connection)
{
	(void)send_expect(connection, ITEM_SYNC, NULL);
	return PQpipelineSync(connection->pq) == 1;
}

bool send_settings(struct postgres_store *store, struct pg_connection *connection)
{
	return !store->pooled || send_word(connection, ITEM_SETTINGS, store->session_settings);
}

static bool is_known(const struct call *call)
{
	return call->idempotency != NULL && call->idempotency->known;
}

/* All of them see one state of the database, as on SQLite. */
static bool send_transaction(struct postgres_store *store, struct pg_connection *connection)
{
	struct call *call = connection->batch.transaction;

	if (!send_word(connection, ITEM_BEGIN,
		    call->method->write ? "BEGIN ISOLATION LEVEL REPEATABLE READ"
					: "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY") ||
		!send_settings(store, connection) || !pg_replay_ask(store, connection))
		return false;
	for (unsigned i = 0; i < call->member_count && !is_known(call); i++)
		if (!send_call(store, connection, &call->members[i]))
			return false;
	return send_sync(connection);
}

bool send_end(struct postgres_store *store, struct pg_connection *connection, bool commit)
{
	const struct pg_batch *batch = &connection->batch;
	bool skipped = batch->transaction == NULL && batch->state == PG_BATCH_FAILED, sent = true;

	if (!commit && !skipped)
		sent = send_word(connection, ITEM_ROLLBACK, "ROLLBACK");
	else if (commit)
		sent = pg_replay_add(store, connection) &&
			(batch->transaction == NULL ||
				send_word(connection, ITEM_COMMIT, "COMMIT"));
	return sent && send_sync(connection);
}

static bool send_calls(struct postgres_store *store, struct pg_connection *connection)
{
	bool merging = connection->batch.count >= MERGE_MIN && clock_ns() >= store->merge_from,
	     counted = false;

	if (connection->batch.count > 0 &&
		(!send_settings(store, connection) || !pg_replay_ask(store, connection)))
		return false;
	for (struct list *node = list_first(&connection->batch.calls);
		node != &connection->batch.calls; node = node->next) {
		struct call *call = call_of(node);

		if (call->route == ROUTE_MERGED || is_known(call))
			continue;
		if (!reads(call)) {
			counted = false;
		} else if (merging && !counted) {
			count_alike(store, connection, node);
			counted = true;
		}
		if (!(counted && mergeable(call) && store->alike[call->method->index] >= MERGE_MIN
				    ? send_merged(store, connection, node)
				    : send_call(store, connection, call)))
			return false;
	}
	return connection->batch.open ? PQsendFlushRequest(connection->pq) == 1
				      : send_sync(connection);
}

bool send_batch(struct postgres_store *store, struct pg_connection *connection)
{
	return connection->batch.transaction != NULL ? send_transaction(store, connection)
						     : send_calls(store, connection);
}
