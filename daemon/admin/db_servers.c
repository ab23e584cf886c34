#include "db_servers.h"

#include <stdio.h>

#include "../../protocol/json/json_add.h"

static const char *const role_names[] = {[SERVER_UNREACHABLE] = "unreachable",
	[SERVER_PRIMARY] = "primary",
	[SERVER_STANDBY] = "standby",
	[SERVER_OUTDATED] = "outdated"};

bool db_servers_usable(const struct db_servers *servers, const struct store_server *server)
{
	return server->role == SERVER_STANDBY && server->age_ms >= 0 &&
		(uint64_t)server->age_ms <= servers->lag_ms &&
		servers->without_ms <= servers->outage_ms;
}

void db_servers_ask(
	struct db_servers *servers, struct store *store, const struct settings *settings)
{
	struct store_stats stats = {0};

	*servers = (struct db_servers){
		.lag_ms = settings->standby_lag, .outage_ms = settings->standby_outage};
	if (store->ops->servers == NULL)
		return;
	store->ops->stats(store, &stats);
	servers->without_ms = stats.outage_ns / 1000000;
	servers->count = store->ops->servers(store, servers->of);
	for (unsigned i = 0; i < servers->count; i++) {
		servers->standbys += servers->of[i].role != SERVER_PRIMARY;
		servers->usable += db_servers_usable(servers, &servers->of[i]);
	}
}

static void add_known(struct buffer *out, const char *name, int64_t value)
{
	if (value < 0)
		json_add_text(out, name, NULL);
	else
		json_add_integer(out, name, value);
}

void db_servers_write(const struct db_servers *servers, struct buffer *out)
{
	if (servers->count == 0)
		return;
	json_add_array(out, "servers");
	for (unsigned i = 0; i < servers->count; i++) {
		const struct store_server *server = &servers->of[i];

		json_add_object(out, NULL);
		json_add_text(out, "host", server->host);
		json_add_text(out, "role", role_names[server->role]);
		json_add_bool(out, "usable", db_servers_usable(servers, server));
		json_add_integer(out, "connections", server->connections);
		json_add_count(out, "reads", server->reads);
		add_known(out, "age_ms", server->age_ms);
		add_known(out, "lag_bytes", server->lag_bytes);
		json_add_text(out, "error", *server->error != '\0' ? server->error : NULL);
		json_add_end(out, '}');
	}
	json_add_end(out, ']');
}

/* Why a server cannot answer causal reads. */
static void explain(const struct db_servers *servers, const struct store_server *server, char *text,
	size_t size)
{
	switch (server->role) {
	case SERVER_UNREACHABLE:
		(void)snprintf(text, size, "%s is unreachable%s%.280s", server->host,
			*server->error != '\0' ? ": " : "", server->error);
		break;
	case SERVER_OUTDATED:
		(void)snprintf(text, size, "%s does not follow the newest primary", server->host);
		break;
	case SERVER_PRIMARY:
	case SERVER_STANDBY:
		if (server->age_ms < 0)
			(void)snprintf(text, size, "the age of %s is unknown", server->host);
		else
			(void)snprintf(text, size,
				"%s shows the data of %.1f s ago, more than standby-lag (%.1f s)",
				server->host, (double)server->age_ms / 1e3,
				(double)servers->lag_ms / 1e3);
		break;
	}
}

/* The first standby that cannot be read; "" without any. */
static void explain_first(const struct db_servers *servers, char *text, size_t size)
{
	*text = '\0';
	for (unsigned i = 0; i < servers->count && *text == '\0'; i++)
		if (servers->of[i].role != SERVER_PRIMARY &&
			!db_servers_usable(servers, &servers->of[i]))
			explain(servers, &servers->of[i], text, size);
}

const char *db_servers_complaint(const struct db_servers *servers, char detail[DB_SERVERS_TEXT_MAX])
{
	char first[DB_SERVERS_TEXT_MAX - 64];

	*detail = '\0';
	explain_first(servers, first, sizeof first);
	if (servers->count == 0)
		return detail;
	if (servers->without_ms > servers->outage_ms)
		(void)snprintf(detail, DB_SERVERS_TEXT_MAX,
			"no primary for %.0f s, more than standby-outage (%.0f s): reads wait for "
			"it",
			(double)servers->without_ms / 1e3, (double)servers->outage_ms / 1e3);
	else if (servers->without_ms > 0 && servers->usable > 0)
		(void)snprintf(detail, DB_SERVERS_TEXT_MAX,
			"no primary for %.0f s: standbys answer reads for another %.0f s",
			(double)servers->without_ms / 1e3,
			(double)(servers->outage_ms - servers->without_ms) / 1e3);
	else if (servers->standbys == 0)
		(void)snprintf(detail, DB_SERVERS_TEXT_MAX, "no server is a standby");
	else if (servers->usable == 0)
		(void)snprintf(detail, DB_SERVERS_TEXT_MAX, "no standby can be read: %s", first);
	else if (servers->usable < servers->standbys)
		(void)snprintf(detail, DB_SERVERS_TEXT_MAX, "%u of %u standbys can be read: %s",
			servers->usable, servers->standbys, first);
	return detail;
}

const char *db_servers_finding(const struct db_servers *servers, const struct store_server *server,
	char detail[DB_SERVERS_TEXT_MAX])
{
	if (server->role == SERVER_PRIMARY) {
		(void)snprintf(detail, DB_SERVERS_TEXT_MAX, "%s: primary, %u connections",
			server->host, server->connections);
		return NULL;
	}
	if (db_servers_usable(servers, server)) {
		(void)snprintf(detail, DB_SERVERS_TEXT_MAX,
			"%s: standby, %u connections, shows the data of %.1f s ago, has answered "
			"%llu reads",
			server->host, server->connections, (double)server->age_ms / 1e3,
			(unsigned long long)server->reads);
		return NULL;
	}
	explain(servers, server, detail, DB_SERVERS_TEXT_MAX);
	if (server->role == SERVER_UNREACHABLE)
		return "check that it runs with hot_standby = on and accepts the daemon's role "
		       "(pg_hba.conf); or remove it from the URL";
	if (server->role == SERVER_OUTDATED)
		return "let it follow the new primary: primary_conninfo, "
		       "recovery_target_timeline = latest; else pg_rewind or a new copy";
	if (server->age_ms < 0)
		return "the primary has not told its position yet: see the finding `timeline`";
	return "its link to the primary is down (pg_stat_wal_receiver), or a query there "
	       "delays its replay (max_standby_streaming_delay)";
}
