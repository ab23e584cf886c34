/* Sends a batch: each call's statement, or one shared statement for adjacent look-ups of the same
 * kind. */
#include "send.h"

#include <stdio.h>
#include <string.h>

#include "../../protocol/value.h"
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
		(void)send_expect(connection, ITEM_CALL, call); /* the health probe */
		return PQsendQueryParams(connection->pq, "SELECT FROM pierre_meta LIMIT 1", 0, NULL,
			       NULL, NULL, NULL, 1) == 1;
	}
	statement = &method->statements[BACKEND_POSTGRES];
	for (unsigned i = 0; i < statement->bind_count; i++)
		if (!set_parameter(&store->sending, &to, i, &method->binds[statement->binds[i]],
			    &call->values[statement->binds[i]]))
			return false;
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

static void put_int(struct buffer *to, uint32_t value)
{
	const char bytes[] = {
		(char)(value >> 24), (char)(value >> 16), (char)(value >> 8), (char)value};

	buffer_append(to, bytes, sizeof bytes);
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

bool send_settings(
	struct postgres_store *store, struct pg_connection *connection, struct call *call)
{
	if (!store->pooled)
		return true;
	(void)send_expect(connection, ITEM_SETTINGS, call);
	return PQsendQueryParams(
		       connection->pq, store->session_settings, 0, NULL, NULL, NULL, NULL, 1) == 1;
}

bool send_batch(struct postgres_store *store, struct pg_connection *connection)
{
	bool merging = connection->batch.count >= MERGE_MIN && clock_ns() >= store->merge_from,
	     counted = false;

	if (connection->batch.count > 0 &&
		!send_settings(store, connection, call_of(list_first(&connection->batch.calls))))
		return false;
	if (connection->batch.keyed_count > 0 && !pg_replay_ask(store, connection))
		return false;
	for (struct list *node = list_first(&connection->batch.calls);
		node != &connection->batch.calls; node = node->next) {
		struct call *call = call_of(node);

		if (call->route == ROUTE_MERGED ||
			(call->idempotency != NULL && call->idempotency->known))
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
	if (connection->batch.keyed_count > 0) {
		connection->batch.open = true;
		return PQsendFlushRequest(connection->pq) == 1;
	}
	(void)send_expect(connection, ITEM_SYNC, NULL);
	return PQpipelineSync(connection->pq) == 1;
}
