#include "pg_queue.h"

#include <stdio.h>

#include "../pg_store.h"

struct item *pg_queue_expect(
	struct pg_connection *connection, enum item_kind kind, struct call *call)
{
	struct item *item = &connection->back->items[connection->back->item_count++];

	*item = (struct item){.kind = (uint8_t)kind, .call = call};
	return item;
}

struct item *pg_queue_sql(struct postgres_store *store, struct pg_connection *connection,
	struct call *call, const struct pg_queue_statement *statement)
{
	struct item *item;
	char name[64];
	int sent;

	if (store->named && !connection->prepared[statement->number]) {
		(void)snprintf(name, sizeof name, "%s%s.%u", statement->name, statement->suffix,
			connection->generation);
		pg_queue_expect(connection, ITEM_PREPARE, call)->statement =
			(uint16_t)statement->number;
		if (PQsendPrepare(connection->pq, name, statement->sql, 0, NULL) != 1)
			return NULL;
		connection->prepared[statement->number] = true;
		/* If the batch fails, the statement may be missing. */
		connection->back->quick = false;
	}
	item = pg_queue_expect(connection, statement->kind, call);
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

bool pg_queue_word(struct pg_connection *connection, enum item_kind kind, const char *sql)
{
	struct list *calls = &connection->back->calls;

	(void)pg_queue_expect(
		connection, kind, list_empty(calls) ? NULL : call_of(list_first(calls)));
	return PQsendQueryParams(connection->pq, sql, 0, NULL, NULL, NULL, NULL, 1) == 1;
}

bool pg_queue_sync(struct pg_connection *connection)
{
	(void)pg_queue_expect(connection, ITEM_SYNC, NULL);
	return PQpipelineSync(connection->pq) == 1;
}

bool pg_queue_settings(struct postgres_store *store, struct pg_connection *connection)
{
	return !store->pooled || pg_queue_word(connection, ITEM_SETTINGS, store->session_settings);
}
