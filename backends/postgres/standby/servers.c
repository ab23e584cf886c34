#include "servers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <syslog.h>

#include "../../../protocol/value.h"
#include "../blocking/connect.h"
#include "../blocking/jobs.h"
#include "../cluster/hosts.h"
#include "../outage.h"
#include "../pg_store.h"
#include "proof.h"
#include "split.h"

static const uint64_t servers_ms = 1000000;
enum {
	WAITING_POLL_MS = 1,   /* a read waits for the replay */
	STRANGE_POLL_MS = 100, /* it does not follow the newest primary */
	SLOW_READ_MS = 1000,
	OTHER_ROLE_MS = 5000, /* before a primary is asked again */
	FEW_READS = 16        /* so many are worth another connection, or another server */
};

/* A host that both URLs name is one server. */
static void add_server(struct servers *servers, const char *url, unsigned host)
{
	struct standby_server *server = &servers->list[servers->count];

	server->url = url;
	server->host = host;
	hosts_name(url, host, server->name, sizeof server->name);
	for (unsigned i = 0; i < servers->count; i++)
		if (strcmp(servers->list[i].name, server->name) == 0)
			return;
	servers->count++;
}

int servers_init(struct split *split, struct err *err)
{
	const struct store_settings *settings = &split->store->settings;
	struct servers *servers = &split->servers;
	const char *urls[] = {split->store->url, NULL};

	if (settings->standby_url != NULL && (servers->url = strdup(settings->standby_url)) == NULL)
		return err_exit(err, EX_OSERR, "out of memory");
	urls[1] = servers->url;
	for (unsigned i = 0; i < 2 && urls[i] != NULL; i++)
		for (unsigned host = 0; host < hosts_count(urls[i]); host++) {
			if (servers->count == STORE_SERVERS_MAX)
				return err_exit(err, EX_CONFIG,
					"read-from: the URLs name more than %u hosts",
					STORE_SERVERS_MAX);
			add_server(servers, urls[i], host);
		}
	return 0;
}

void servers_free(struct split *split)
{
	if (split->servers.url != NULL)
		explicit_bzero(split->servers.url, strlen(split->servers.url));
	free(split->servers.url);
}

static struct standby_server *server_of(struct split *split, const struct pg_connection *connection)
{
	return &split->servers.list[servers_place(&split->servers, connection)];
}

static bool is_primary(const struct split *split, const struct standby_server *server)
{
	return server->url == split->store->url && server->host == split->store->first_host &&
		outage_connected(split->store);
}

bool servers_follows(const struct split *split, const struct pg_connection *connection)
{
	const struct standby_session *reader = &split->servers.readers[connection->number - 1];

	return reader->timeline != 0 && reader->timeline == split->store->newest.timeline;
}

static void set_role(struct split *split, struct standby_server *server, enum server_role role)
{
	static const char *const now[] = {[SERVER_UNREACHABLE] = "is lost",
		[SERVER_PRIMARY] = "is a primary",
		[SERVER_STANDBY] = "answers reads",
		[SERVER_OUTDATED] = "does not follow the newest primary: it answers no reads"};

	if (server->role == role)
		return;
	if (role != SERVER_UNREACHABLE)
		server->error[0] = '\0';
	if (role == SERVER_STANDBY || server->role == SERVER_STANDBY || role == SERVER_OUTDATED)
		split->store->settings.log(LOG_NOTICE, "standby %s %s%s%s", server->name, now[role],
			server->error[0] != '\0' ? ": " : "", server->error);
	server->role = role;
}

static void server_failed(struct split *split, struct standby_server *server, const char *error)
{
	(void)snprintf(server->error, sizeof server->error, "%.300s", error);
	server->failures++;
	server->retry_at = clock_ns() + outage_backoff(server->failures);
	set_role(split, server, SERVER_UNREACHABLE);
}

static bool poll_standby(struct split *split, struct pg_connection *connection)
{
	return pg_connection_upkeep(split->readers, connection, proof_poll);
}

/* Returns whether the connection may be kept. */
static bool admit_standby(
	struct split *split, struct standby_server *server, const struct lineage *lineage)
{
	const struct lineage *newest = &split->store->newest;

	if (lineage->system != 0 && newest->system != 0 && lineage->system != newest->system) {
		server_failed(split, server, "it belongs to another database cluster");
		server->retry_at = clock_ns() + OTHER_ROLE_MS * servers_ms;
		return false;
	}
	server->failures = 0;
	if (lineage->standby)
		return true;
	set_role(split, server, SERVER_PRIMARY);
	server->retry_at = clock_ns() + OTHER_ROLE_MS * servers_ms;
	return false;
}

static void servers_connected(struct postgres_store *readers, struct pg_connection *connection,
	PGconn *pq, const struct lineage *lineage, const char *error)
{
	struct split *split = readers->split;
	struct standby_server *server = server_of(split, connection);
	struct standby_session *reader = servers_reader(&split->servers, connection);
	bool kept = false;

	server->connecting = false;
	if (pq == NULL)
		server_failed(split, server, error);
	else
		kept = !readers->closing && admit_standby(split, server, lineage);
	if (!kept) {
		PQfinish(pq);
		pg_connection_enter(connection, PG_CONNECTION_CLOSED);
		return;
	}
	/* A pooler may lead each transaction to another server. */
	if (!connect_is_direct(pq)) {
		readers->pooled = true;
		readers->named = false;
	}
	*reader = (struct standby_session){.instance = readers->pooled ? 0 : lineage->instance};
	pg_connection_adopt(readers, connection, pq, lineage);
	if (connection->state == PG_CONNECTION_IDLE)
		(void)poll_standby(split, connection);
}

static bool crowded_server(const struct split *split, unsigned index, struct pg_connection **free)
{
	struct postgres_store *readers = split->readers;
	bool crowded = true;

	*free = NULL;
	for (unsigned i = index; i < readers->connection_limit; i += split->servers.count) {
		struct pg_connection *connection = &readers->connections[i];

		if (connection->state == PG_CONNECTION_CLOSED)
			*free = *free == NULL ? connection : *free;
		else if (connection->waiting_count <= FEW_READS)
			crowded = false;
	}
	return crowded;
}

static void connect_server(struct split *split, unsigned index, uint64_t now)
{
	struct standby_server *server = &split->servers.list[index];
	struct pg_connection *connection;

	if (server->connecting || now < server->retry_at || split->readers->closing)
		return;
	/* Until another one takes over, there is nothing to ask. */
	if (is_primary(split, server)) {
		set_role(split, server, SERVER_PRIMARY);
		server->retry_at = now + OTHER_ROLE_MS * servers_ms;
		return;
	}
	if (!crowded_server(split, index, &connection) || connection == NULL)
		return;
	pg_connection_enter(connection, PG_CONNECTION_CONNECTING);
	server->connecting = jobs_connect(split->readers, connection,
		&(struct target){.url = server->url, .first = server->host, .only = true},
		servers_connected);
	if (!server->connecting) {
		pg_connection_enter(connection, PG_CONNECTION_CLOSED);
		server->retry_at = now + OTHER_ROLE_MS * servers_ms;
	}
}

static void blame(struct list *calls, enum read_reason reason)
{
	list_for_each (node, calls)
		call_of(node)->standby->reason = reason;
}

/* A server that is frozen, or cut off, answers nothing; the primary answers its reads. */
static void cut_slow(struct split *split, struct pg_connection *connection, uint64_t now)
{
	if (!pg_connection_has_batch(connection) ||
		now < connection->front->sent_at + SLOW_READ_MS * servers_ms)
		return;
	for (unsigned i = 0; i < connection->in_flight; i++)
		blame(&pg_connection_batch(connection, i)->calls, READ_SLOW);
	blame(&connection->waiting, READ_SLOW);
	if (connection->front->count > 0 && connection->cancelling == 0)
		jobs_cancel(split->readers, connection);
	pg_connection_break(split->readers, connection, "it did not answer in time", false);
}

static uint64_t poll_due(const struct split *split, const struct pg_connection *connection)
{
	const struct standby_session *reader = &split->servers.readers[connection->number - 1];
	uint64_t pause = split->sampler.idle_ns;

	if (!list_empty(&connection->waiting))
		pause = WAITING_POLL_MS * servers_ms;
	else if (!servers_follows(split, connection) && pause > STRANGE_POLL_MS * servers_ms)
		pause = STRANGE_POLL_MS * servers_ms;
	return reader->told_at + pause;
}

void servers_step(struct split *split, uint64_t now)
{
	struct postgres_store *readers = split->readers;

	/* Another server has become the primary, so roles have changed. */
	for (unsigned i = 0; split->servers.timeline != split->store->newest.timeline &&
		i < split->servers.count;
		i++)
		split->servers.list[i].retry_at = 0;
	split->servers.timeline = split->store->newest.timeline;
	for (unsigned i = 0; i < readers->connection_limit; i++) {
		struct pg_connection *connection = &readers->connections[i];

		if (connection->state == PG_CONNECTION_IDLE && connection->cancelling == 0 &&
			now >= poll_due(split, connection))
			(void)poll_standby(split, connection);
		else
			cut_slow(split, connection, now);
	}
	for (unsigned i = 0; i < split->servers.count; i++)
		connect_server(split, i, now);
}

uint64_t servers_next_due(const struct split *split, uint64_t now)
{
	const struct postgres_store *readers = split->readers;
	uint64_t due = UINT64_MAX;

	for (unsigned i = 0; i < readers->connection_limit; i++) {
		const struct pg_connection *connection = &readers->connections[i];
		uint64_t next = UINT64_MAX;

		if (connection->state == PG_CONNECTION_IDLE)
			next = poll_due(split, connection);
		else if (pg_connection_has_batch(connection))
			next = connection->front->sent_at + SLOW_READ_MS * servers_ms;
		due = clock_earlier(due, next);
	}
	for (unsigned i = 0; i < split->servers.count; i++) {
		const struct standby_server *server = &split->servers.list[i];

		if (!server->connecting && server->retry_at > now)
			due = clock_earlier(due, server->retry_at);
	}
	return due;
}

static unsigned reader_load(const struct pg_connection *connection)
{
	return connection->waiting_count +
		(connection->state == PG_CONNECTION_BUSY ? connection->back->count : 0);
}

struct pg_connection *servers_choose(
	struct split *split, struct history *history, uint64_t young, enum read_reason *reason)
{
	struct postgres_store *readers = split->readers;
	struct pg_connection *best = NULL;
	unsigned best_load = 0;

	*reason = READ_LOST;
	/* What an unfinished read shows is not known yet: the next one uses the same session. */
	if (history->order.reads > 0 && history->order.connection == 0)
		return NULL;
	for (unsigned i = 0; i < readers->connection_limit; i++) {
		struct pg_connection *connection = &readers->connections[i];
		unsigned server = i % split->servers.count, load = reader_load(connection);

		if (!pg_connection_usable(connection) || connection->cancelling != 0 ||
			!servers_follows(split, connection) ||
			(history->order.reads > 0 &&
				history->order.connection != connection->number))
			continue;
		if (split->servers.list[server].replayed < young) {
			*reason = READ_OLD;
			continue;
		}
		if (server != history->server % split->servers.count)
			load += FEW_READS;
		if (best == NULL || load < best_load) {
			best = connection;
			best_load = load;
		}
	}
	return best;
}

void servers_told(struct split *split, struct pg_connection *connection)
{
	const struct proof *proof = &connection->front->proof;
	struct standby_session *reader = servers_reader(&split->servers, connection);
	struct standby_server *server = server_of(split, connection);

	reader->told_at = clock_ns();
	reader->timeline = proof->standby ? proof->timeline : 0;
	reader->replayed = proof->replayed;
	server->replayed = proof->replayed;
	if (!proof->standby) {
		(void)snprintf(server->error, sizeof server->error,
			"it is no standby any more, or transactions there are not read committed "
			"by default");
		set_role(split, server, SERVER_PRIMARY);
		server->retry_at = reader->told_at + OTHER_ROLE_MS * servers_ms;
		pg_connection_closing(connection);
	} else {
		set_role(split, server,
			servers_follows(split, connection) ? SERVER_STANDBY : SERVER_OUTDATED);
	}
}

/* Of every `step`th connection of a store. */
static unsigned count_usable(const struct postgres_store *store, unsigned first, unsigned step)
{
	unsigned count = 0;

	for (unsigned i = first; i < store->connection_limit; i += step)
		count += pg_connection_usable(&store->connections[i]);
	return count;
}

static unsigned open_connections(const struct split *split, const struct standby_server *server)
{
	return count_usable(
		split->readers, (unsigned)(server - split->servers.list), split->servers.count);
}

void servers_lost(struct split *split, const struct pg_connection *connection, const char *reason)
{
	struct standby_server *server = server_of(split, connection);

	if (open_connections(split, server) <= pg_connection_usable(connection))
		server_failed(split, server, reason);
}

/* How old the state is that the server has shown last, by the primary's samples; without a primary,
 * how old it was at the last one. */
static void show_age(const struct split *split, const struct standby_server *server, uint64_t now,
	struct store_server *out)
{
	const struct sample *reached = samples_reached(&split->samples, server->replayed),
			    *last = samples_last(&split->samples);

	if (server->role != SERVER_STANDBY || last == NULL)
		return;
	out->lag_bytes = server->replayed < last->log ? (int64_t)(last->log - server->replayed) : 0;
	if (reached != NULL)
		out->age_ms = (int64_t)(((split->lost_at != 0 ? last->sent : now) - reached->sent) /
			servers_ms);
}

unsigned servers_show(const struct split *split, struct store_server out[STORE_SERVERS_MAX])
{
	uint64_t now = clock_ns();

	for (unsigned i = 0; i < split->servers.count; i++) {
		const struct standby_server *server = &split->servers.list[i];
		bool primary = is_primary(split, server);

		out[i] = (struct store_server){.role = primary ? SERVER_PRIMARY : server->role,
			/* All of the primary's store lead there. */
			.connections = primary ? count_usable(split->store, 0, 1)
					       : open_connections(split, server),
			.reads = server->reads,
			.age_ms = -1,
			.lag_bytes = -1};
		memcpy(out[i].host, server->name, sizeof server->name);
		memcpy(out[i].error, server->error, sizeof server->error);
		show_age(split, server, now, &out[i]);
	}
	return split->servers.count;
}
