#include "proof.h"

#include <stdlib.h>
#include <string.h>

#include "../pg_store.h"
#include "../result.h"
#include "../sending/pg_queue.h"

static const char told_sql[] =
	"SELECT pg_last_wal_replay_lsn(), pg_is_in_recovery() AND "
	"current_setting('transaction_isolation') = 'read committed', "
	"(SELECT value FROM pierre_meta WHERE key = '" SPLIT_TIMELINE_KEY "')";
enum { TOLD_REPLAYED, TOLD_STANDBY, TOLD_TIMELINE, TOLD_COLUMNS };

/* What has been received covers what has been replayed, also the record whose effects show although
 * its end is not counted yet. */
static const char shown_sql[] =
	"SELECT greatest(pg_last_wal_replay_lsn(), pg_last_wal_receive_lsn()), "
	"pg_snapshot_xmin(now), pg_snapshot_xmax(now) FROM pg_current_snapshot() AS now";
enum { SHOWN_RECEIVED, SHOWN_XMIN, SHOWN_XMAX, SHOWN_COLUMNS };

static const char covered_sql[] =
	"SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn() END";

/* Places in connection->prepared, from PG_PREPARED_POSITIONS on. */
enum { PREPARED_TOLD, PREPARED_SHOWN, PREPARED_COVERED, PREPARED_POSITIONS };
_Static_assert((int)PREPARED_POSITIONS == (int)PG_POSITION_STATEMENTS, "each has a place");

static bool send_proof(struct postgres_store *store, struct pg_connection *connection,
	struct call *call, enum item_kind kind, unsigned prepared, const char *name,
	const char *sql)
{
	return pg_queue_sql(store, connection, call,
		       &(struct pg_queue_statement){.kind = kind,
			       .number = PG_PREPARED_POSITIONS + prepared,
			       .name = name,
			       .suffix = "",
			       .sql = sql}) != NULL;
}

bool proof_begin(struct postgres_store *store, struct pg_connection *connection, struct call *call)
{
	connection->back->proof = (struct proof){.standby = false};
	return send_proof(
		store, connection, call, ITEM_TOLD, PREPARED_TOLD, "standby.told", told_sql);
}

bool proof_end(struct postgres_store *store, struct pg_connection *connection, struct call *call)
{
	return send_proof(
		store, connection, call, ITEM_SHOWN, PREPARED_SHOWN, "standby.shown", shown_sql);
}

bool proof_poll(struct postgres_store *store, struct pg_connection *connection)
{
	return pg_queue_settings(store, connection) && proof_begin(store, connection, NULL) &&
		pg_queue_sync(connection);
}

bool proof_cover(struct postgres_store *store, struct pg_connection *connection, struct call *call)
{
	return send_proof(store, connection, call, ITEM_COVERED, PREPARED_COVERED,
		"standby.covered", covered_sql);
}

static uint64_t proof_number(const PGresult *result, int column)
{
	return PQgetlength(result, 0, column) == 8 ? result_number(PQgetvalue(result, 0, column), 8)
						   : 0;
}

static bool has_columns(const PGresult *result, int count)
{
	return PQntuples(result) == 1 && PQnfields(result) == count;
}

bool proof_take(struct pg_connection *connection, unsigned kind, const PGresult *result)
{
	struct proof *proof = &connection->front->proof;

	if (kind == ITEM_COVERED) {
		proof->replayed = has_columns(result, 1) ? proof_number(result, 0) : 0;
		return true;
	}
	if (kind == ITEM_SHOWN) {
		if (!has_columns(result, SHOWN_COLUMNS))
			return false;
		proof->received = proof_number(result, SHOWN_RECEIVED);
		proof->snapshot = (struct snapshot){.xmin = proof_number(result, SHOWN_XMIN),
			.xmax = proof_number(result, SHOWN_XMAX)};
		return true;
	}
	if (!has_columns(result, TOLD_COLUMNS))
		return false;
	proof->replayed = proof_number(result, TOLD_REPLAYED);
	proof->standby = PQgetlength(result, 0, TOLD_STANDBY) == 1 &&
		PQgetvalue(result, 0, TOLD_STANDBY)[0] != 0;
	proof->timeline = strtoull(PQgetvalue(result, 0, TOLD_TIMELINE), NULL, 10);
	return true;
}
