#include "guard.h"

#include <stdio.h>
#include <stdlib.h>

#include "../blocking/connect.h"

#define GUARD_SYSTEM "(SELECT system_identifier FROM pg_catalog.pg_control_system())"

/* Another server, or the same one after a restart, has another text. */
#define GUARD_INSTANCE                                                                             \
	"concat_ws('-', pg_catalog.inet_server_addr(), pg_catalog.current_setting('port'), "       \
	"pg_catalog.pg_postmaster_start_time())"

/* A role without any right may ask all of this, unless EXECUTE was revoked from PUBLIC: then the
 * timeline alone tells. The digits before the segment's number are the timeline. */
#define GUARD_SQL(system)                                                                          \
	"SELECT pg_catalog.pg_is_in_recovery(), CASE WHEN NOT pg_catalog.pg_is_in_recovery() "     \
	"THEN substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) "          \
	"END, " system ", " GUARD_INSTANCE

/* FNV-1a; never 0. */
static uint64_t hash_text(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return hash != 0 ? hash : 1;
}

static void read_lineage(const PGresult *result, struct lineage *ret)
{
	if (PQntuples(result) != 1 || PQnfields(result) != 4)
		return;
	ret->standby = PQgetvalue(result, 0, 0)[0] == 't';
	ret->timeline = (uint32_t)strtoul(PQgetvalue(result, 0, 1), NULL, 16);
	ret->system = strtoull(PQgetvalue(result, 0, 2), NULL, 10);
	ret->instance = hash_text(PQgetvalue(result, 0, 3));
}

bool guard_ask(PGconn *pq, uint64_t timeout_ms, struct lineage *ret)
{
	static const char *const statements[] = {GUARD_SQL(GUARD_SYSTEM), GUARD_SQL("NULL")};

	*ret = (struct lineage){.system = 0};
	for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
		PGresult *result = connect_ask_within(pq, statements[i], timeout_ms);
		bool told = PQresultStatus(result) == PGRES_TUPLES_OK;

		if (told)
			read_lineage(result, ret);
		PQclear(result);
		if (told || PQstatus(pq) != CONNECTION_OK)
			break;
	}
	return PQstatus(pq) == CONNECTION_OK && PQtransactionStatus(pq) == PQTRANS_IDLE;
}

bool guard_follows(
	const struct lineage *newest, const struct lineage *now, char why[ERR_MESSAGE_MAX])
{
	if (newest->system != 0 && now->system != 0 && newest->system != now->system) {
		(void)snprintf(why, ERR_MESSAGE_MAX,
			"the server belongs to another database cluster (system identifier %llu, "
			"not %llu): writes answered before may be gone",
			(unsigned long long)now->system, (unsigned long long)newest->system);
		return false;
	}
	if (now->timeline != 0 && now->timeline < newest->timeline) {
		(void)snprintf(why, ERR_MESSAGE_MAX,
			"the primary went back from timeline %lu to %lu: writes answered since may "
			"be gone",
			(unsigned long)newest->timeline, (unsigned long)now->timeline);
		return false;
	}
	return true;
}

bool guard_advance(struct lineage *newest, const struct lineage *now)
{
	bool newer = now->timeline > newest->timeline;

	if (now->system != 0)
		newest->system = now->system;
	if (newer)
		newest->timeline = now->timeline;
	return newer;
}
