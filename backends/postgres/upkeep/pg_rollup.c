/* When steps run. A daemon whose clients write runs them until no row is left; another one looks
 * now and then, because older daemons and other programs write, too. Of several daemons one works
 * at a time. */
#include "pg_rollup.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../../protocol/value.h"
#include "../outage.h"
#include "../pg_store.h"

/* Rows of one step: some ten milliseconds, for which a connection is busy. */
enum { STEP_ROWS = 2000, DROP_ROWS = 500 };

static const uint64_t ms = 1000000, pause_min = 20 * ms, pause_max = 1000 * ms,
		      look_pause = 5000 * ms, failure_pause = 5000 * ms, step_max = 30000 * ms,
		      drop_pause = 60000 * ms;

/* A step with retention also deletes rows of hours that are not kept. It comes again at once while
 * there are many. On a server that accepts no writes it does nothing and returns no row. */
const char *pg_rollup_sql(struct postgres_store *store)
{
	struct pg_rollup *rollup = &store->rollup;
	char drop[128] = "0";

	if (rollup->drops) {
		int64_t kept =
			(int64_t)time(NULL) - (int64_t)(store->settings.usage_retention_ms / 1000);

		(void)snprintf(drop, sizeof drop, "drop_usage(to_timestamp(%lld), %d)",
			(long long)(kept - kept % 3600), DROP_ROWS);
	}
	(void)snprintf(rollup->sql, sizeof rollup->sql,
		"SELECT greatest(roll_up_api_key_usage(%d), roll_up_a2a_usage(%d))::text, "
		"(%s)::text WHERE current_setting('transaction_read_only') = 'off'",
		STEP_ROWS, STEP_ROWS, drop);
	return rollup->sql;
}

void pg_rollup_take(struct postgres_store *store, const PGresult *result)
{
	struct pg_rollup *rollup = &store->rollup;
	int64_t rest = PQntuples(result) == 0 ? 0
		: PQntuples(result) == 1 && PQnfields(result) == 2 && !PQgetisnull(result, 0, 0)
		? strtoll(PQgetvalue(result, 0, 0), NULL, 10)
		: -1;

	/* Without progress the rows wait for a transaction of another program. */
	rollup->pause = rest > 0 && rest == rollup->rest && rollup->pause < pause_max
		? 2 * rollup->pause
		: pause_min;
	rollup->rest = rest;
	if (rollup->drops && PQntuples(result) == 1 &&
		strtoll(PQgetvalue(result, 0, 1), NULL, 10) > 0)
		rollup->rest = rest > 1 ? rest : 1;
	else if (rollup->drops)
		rollup->drop_at = clock_ns() + drop_pause;
}

static void pg_rollup_done(struct call *call)
{
	struct pg_rollup *rollup = list_entry(call, struct pg_rollup, call);
	uint64_t now = clock_ns(), took = now - rollup->began;

	rollup->running = false;
	if (call->err.kind != ERR_NONE)
		rollup->due = now + failure_pause;
	else if (rollup->rest <= 0)
		rollup->due = now + (rollup->rest == 0 ? look_pause : pause_max);
	else
		rollup->due = now + (took > rollup->pause ? took : rollup->pause);
}

void pg_rollup_init(struct postgres_store *store)
{
	store->rollup.call.done = pg_rollup_done;
	store->rollup.pause = pause_min;
	store->rollup.rest = INT64_MAX; /* the first step tells */
	store->rollup.due = clock_ns();
	list_init(&store->rollup.call.link);
}

void pg_rollup_note_write(struct postgres_store *store)
{
	struct pg_rollup *rollup = &store->rollup;

	if (rollup->wrote)
		return;
	rollup->wrote = true;
	if (!rollup->running && rollup->due > clock_ns() + pause_max)
		rollup->due = clock_ns() + pause_max;
}

struct call *pg_rollup_begin(struct postgres_store *store)
{
	struct pg_rollup *rollup = &store->rollup;
	uint64_t now = clock_ns();

	if (rollup->running || rollup->quiet || store->closing || rollup->due > now)
		return NULL;
	if (!outage_connected(store)) {
		rollup->due = now + failure_pause;
		return NULL;
	}
	rollup->running = true;
	rollup->wrote = false;
	/* With many rows left, those that may go are not rolled up yet. */
	rollup->drops = store->settings.usage_retention_ms != 0 && rollup->drop_at <= now &&
		rollup->rest < STEP_ROWS;
	rollup->began = now;
	rollup->call.err.kind = ERR_NONE;
	rollup->call.attempts = 0;
	rollup->call.route = ROUTE_ALONE;
	rollup->call.deadline = now + step_max;
	return &rollup->call;
}

uint64_t pg_rollup_next_due(const struct postgres_store *store)
{
	return store->rollup.running || store->rollup.quiet ? 0 : store->rollup.due;
}
