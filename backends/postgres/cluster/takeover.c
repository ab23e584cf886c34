#include "takeover.h"

#include <syslog.h>

#include "../../../protocol/value.h"
#include "../../execute.h"
#include "../blocking/jobs.h"
#include "../pg_connection.h"
#include "../pg_store.h"
#include "hosts.h"

enum { STUCK_MS = 1000, SCOUT_MS = 2000 };
static const uint64_t ms = 1000000;

bool takeover_admits(struct postgres_store *store, const PGconn *pq, const struct lineage *lineage)
{
	if (!guard_follows(&store->newest, lineage, store->gone_back)) {
		store->went_back++;
		return false;
	}
	store->gone_back[0] = '\0';
	if (!lineage->standby)
		store->first_host = hosts_find(store->url, pq);
	if (guard_advance(&store->newest, lineage))
		store->settings.log(LOG_NOTICE, "the primary is on timeline %lu",
			(unsigned long)lineage->timeline);
	return true;
}

void takeover_refuse(struct postgres_store *store)
{
	while (!list_empty(&store->waiting)) {
		struct call *call = call_of(list_first(&store->waiting));

		list_remove(&call->link);
		store->waiting_count--;
		if (call->method == NULL)
			err_set(&call->err, ERR_STORAGE, "%s", store->gone_back);
		else
			execute_fail(call, ERR_STORAGE, "%s", store->gone_back);
		call->err.outcome = OUTCOME_NONE;
		pg_store_finish(call);
	}
}

/* Without waiting for an answer: what such a server stores is lost, and it may hang. Results that
 * are with the encoder are in use; their transaction ends in pg_receive_complete. */
static void cut(struct postgres_store *store, struct pg_connection *connection)
{
	if (connection->front->encoding == 0 && !connection->front->encoded)
		pg_connection_break(store, connection, "a newer primary has taken over", false);
	else
		pg_connection_closing(connection);
}

void takeover_cut(struct postgres_store *store)
{
	for (unsigned i = 0; i < store->connection_limit; i++)
		if (store->connections[i].pq != NULL &&
			pg_store_outdated(store, &store->connections[i]))
			cut(store, &store->connections[i]);
}

static void scouted(struct postgres_store *store, struct pg_connection *none, PGconn *pq,
	const struct lineage *lineage, const char *error)
{
	uint32_t before = store->newest.timeline;

	(void)none;
	(void)error;
	store->scouting = false;
	if (pq != NULL && !store->closing && lineage->timeline > before &&
		takeover_admits(store, pq, lineage))
		takeover_cut(store);
	PQfinish(pq);
}

static bool takeover_stuck(const struct pg_connection *connection, uint64_t now)
{
	return pg_connection_has_batch(connection) &&
		now > connection->front->sent_at + STUCK_MS * ms;
}

/* The server of a connection without an answer may hang: the next host is tried first then. Once an
 * attempt has failed, that server is left out, since it would delay each further one by
 * connect-timeout. A primary that went back is tried last, since the right one may be behind it. */
struct target takeover_target(const struct postgres_store *store, uint64_t now)
{
	struct target target = {.url = store->url, .first = store->first_host};
	bool stuck = false;

	for (unsigned i = 0; i < store->connection_limit; i++)
		stuck = stuck || takeover_stuck(&store->connections[i], now);
	if (store->gone_back[0] != '\0')
		target.first += store->failures;
	else if (stuck && store->failures > 0 && store->host_count > 1)
		target.passed = 1;
	else if (stuck)
		target.first++;
	return target;
}

/* When all connections are in use and none is answered, their server may have been replaced. A
 * connection of its own asks the other hosts. */
void takeover_scout(struct postgres_store *store, uint64_t now)
{
	if (store->host_count < 2 || store->scouting || now < store->scout_at || store->closing)
		return;
	for (unsigned i = 0; i < store->connection_limit; i++)
		if (!takeover_stuck(&store->connections[i], now))
			return;
	store->scout_at = now + SCOUT_MS * ms;
	store->scouting = jobs_connect(store, NULL,
		&(struct target){.url = store->url, .first = store->first_host, .passed = 1},
		scouted);
}
