/* Sends a batch: each call's statement, or one shared statement for adjacent look-ups of the same
 * kind. */
#include "send.h"

#include <string.h>

#include "../../idempotency.h"
#include "../idempotency/pg_once.h"
#include "../idempotency/pg_replay.h"
#include "../pg_store.h"
#include "parameters.h"
#include "pg_queue.h"

/* A shared statement costs as much more than a single one as some of these do. */
enum { MERGE_MIN = 6, MERGE_MAX = 128 };

/* The health check. It also tells of a format that another daemon has set. */
static const char probe_sql[] =
	"SELECT pg_sequence_last_value('token_format') FROM pierre_meta LIMIT 1";

static bool send_call(
	struct postgres_store *store, struct pg_connection *connection, struct call *call)
{
	const struct method *method = call->method;
	struct parameters to;
	bool sent;

	if (method == NULL) {
		const char *sql = connection->back->upkeep ? pg_rollup_sql(store) : probe_sql;

		(void)pg_queue_expect(connection, ITEM_CALL, call);
		return PQsendQueryParams(connection->pq, sql, 0, NULL, NULL, NULL, NULL, 1) == 1;
	}
	if (!parameters_set(store, call, &to))
		return false;
	if (pg_once_is(call)) {
		sent = pg_once_send(store, connection, call, &to) != NULL;
		arena_reset(&store->sending);
		return sent;
	}
	sent = pg_queue_sql(store, connection, call,
		       &(struct pg_queue_statement){.kind = ITEM_CALL,
			       .number = method->index,
			       .name = method->name,
			       .suffix = "",
			       .sql = method->statements[BACKEND_POSTGRES].sql,
			       .values = to.values,
			       .lengths = to.lengths,
			       .formats = to.formats,
			       .count = method->statements[BACKEND_POSTGRES].bind_count}) != NULL;
	arena_reset(&store->sending);
	return sent;
}

static bool mergeable(const struct call *call)
{
	return call->route == ROUTE_TOGETHER &&
		call->method->statements[BACKEND_POSTGRES].many != NULL;
}

static bool reads(const struct call *call)
{
	return call->method != NULL && !call_writes(call);
}

/* Collects the look-up at `node` and later ones of its kind, up to the next write: reads may be
 * reordered. */
static bool send_merged(
	struct postgres_store *store, struct pg_connection *connection, struct list *node)
{
	struct call *call = call_of(node);
	const struct method *method = call->method;
	unsigned first = connection->back->merged_count;
	struct parameters keys;
	struct item *item;

	for (; node != &connection->back->calls && reads(call_of(node)) &&
		connection->back->merged_count - first < MERGE_MAX;
		node = node->next)
		if (call_of(node)->method == method && mergeable(call_of(node))) {
			call_of(node)->route = ROUTE_MERGED;
			connection->back->merged[connection->back->merged_count++] = call_of(node);
		}
	store->alike[method->index] =
		(uint16_t)(store->alike[method->index] - (connection->back->merged_count - first));
	if (!parameters_set_keys(store, &connection->back->merged[first],
		    connection->back->merged_count - first, &keys))
		return false;
	item = pg_queue_sql(store, connection, call,
		&(struct pg_queue_statement){.kind = ITEM_CALL,
			.number = PG_PREPARED_MANY + method->index,
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
	store->merged += connection->back->merged_count - first;
	item->first = (uint16_t)first;
	item->count = (uint16_t)(connection->back->merged_count - first);
	return true;
}

/* Counts the reads of each kind from here to the next write. */
static void count_alike(
	struct postgres_store *store, const struct pg_connection *connection, struct list *node)
{
	memset(store->alike, 0, catalog_method_count * sizeof *store->alike);
	for (; node != &connection->back->calls && reads(call_of(node)); node = node->next)
		store->alike[call_of(node)->method->index] =
			(uint16_t)(store->alike[call_of(node)->method->index] +
				mergeable(call_of(node)));
}

static bool is_known(const struct call *call)
{
	return call->idempotency != NULL && call->idempotency->known;
}

/* All of them see one state of the database, as on SQLite. */
static bool send_transaction(struct postgres_store *store, struct pg_connection *connection)
{
	struct call *call = connection->back->transaction;

	if (!pg_queue_word(connection, ITEM_BEGIN,
		    call->method->write ? "BEGIN ISOLATION LEVEL REPEATABLE READ"
					: "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY") ||
		!pg_queue_settings(store, connection) || !pg_replay_ask(store, connection))
		return false;
	for (unsigned i = 0; i < call->member_count && !is_known(call); i++)
		if (!send_call(store, connection, &call->members[i]))
			return false;
	return pg_queue_sync(connection);
}

bool send_end(struct postgres_store *store, struct pg_connection *connection, bool commit)
{
	const struct pg_batch *batch = connection->back;
	bool skipped = batch->transaction == NULL && batch->state == PG_BATCH_FAILED, sent = true;

	if (!commit && !skipped)
		sent = pg_queue_word(connection, ITEM_ROLLBACK, "ROLLBACK");
	else if (commit)
		sent = pg_replay_add(store, connection) &&
			(batch->transaction == NULL ||
				pg_queue_word(connection, ITEM_COMMIT, "COMMIT"));
	return sent && pg_queue_sync(connection);
}

static bool prove_before(struct postgres_store *store, struct pg_connection *connection)
{
	return !store->reads_only ||
		proof_begin(store, connection, call_of(list_first(&connection->back->calls)));
}

static bool prove_behind(struct postgres_store *store, struct pg_connection *connection)
{
	struct pg_batch *batch = connection->back;

	if (store->split == NULL || batch->causal == 0)
		return true;
	if (store->reads_only)
		return proof_end(store, connection, call_of(batch->calls.prev));
	batch->proof.replayed = 0;
	return store->split->sampler.unflushed ||
		proof_cover(store, connection, call_of(batch->calls.prev));
}

static bool send_calls(struct postgres_store *store, struct pg_connection *connection)
{
	bool merging = connection->back->count >= MERGE_MIN && clock_ns() >= store->merge_from,
	     counted = false;

	if (connection->back->count > 0 &&
		(!pg_queue_settings(store, connection) || !pg_replay_ask(store, connection) ||
			!prove_before(store, connection)))
		return false;
	for (struct list *node = list_first(&connection->back->calls);
		node != &connection->back->calls; node = node->next) {
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
	if (!prove_behind(store, connection))
		return false;
	return connection->back->open ? PQsendFlushRequest(connection->pq) == 1
				      : pg_queue_sync(connection);
}

bool send_batch(struct postgres_store *store, struct pg_connection *connection)
{
	return connection->back->transaction != NULL ? send_transaction(store, connection)
						     : send_calls(store, connection);
}
