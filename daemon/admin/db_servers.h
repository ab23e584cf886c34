/* The servers of a PostgreSQL cluster while standbys are read, as daemon.stats, daemon.health and
 * daemon.diagnose show them. Thread: the loop thread. */
#ifndef PIERRE_DB_SERVERS_H
#define PIERRE_DB_SERVERS_H

#include <stdbool.h>
#include <stdint.h>

#include "../../backends/store.h"
#include "../settings/settings.h"

struct db_servers {
	unsigned count;             /* 0: standbys are not read */
	unsigned standbys;          /* those that are not the primary */
	unsigned usable;            /* standbys that can answer causal reads now */
	uint64_t without_ms;        /* how long there has been no primary; 0: there is one */
	uint64_t lag_ms, outage_ms; /* the settings standby-lag and standby-outage */
	struct store_server of[STORE_SERVERS_MAX];
};

enum { DB_SERVERS_TEXT_MAX = 512 };

void db_servers_ask(
	struct db_servers *servers, struct store *store, const struct settings *settings);
/* Whether one of them can answer causal reads as a standby. */
bool db_servers_usable(const struct db_servers *servers, const struct store_server *server);
/* Adds the member `servers`, unless standbys are not read. */
void db_servers_write(const struct db_servers *servers, struct buffer *out);
/* What limits reads from standbys; "" when nothing does. Returns detail. */
const char *db_servers_complaint(
	const struct db_servers *servers, char detail[DB_SERVERS_TEXT_MAX]);
/* Describes one of them. Returns advice; NULL: it is as it should be. */
const char *db_servers_finding(const struct db_servers *servers, const struct store_server *server,
	char detail[DB_SERVERS_TEXT_MAX]);

#endif
