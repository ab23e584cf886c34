/* The servers that may be standbys: their connections, what each has replayed, and the choice of
 * one for a read. Thread: the loop. */
#ifndef PIERRE_PG_SERVERS_H
#define PIERRE_PG_SERVERS_H

#include <stdbool.h>
#include <stdint.h>

#include "../../store.h"
#include "../cluster/guard.h"
#include "../pg_connection.h"

struct history;
struct split;

struct standby_server {
	char name[128];  /* host:port */
	const char *url; /* the store's, or the standbys' */
	unsigned host;   /* its place there */
	enum server_role role;
	bool connecting;
	unsigned failures; /* of connecting, in a row */
	uint64_t retry_at; /* earliest time to connect */
	uint64_t replayed; /* position that one of its connections has told last */
	uint64_t reads;
	char error[ERR_MESSAGE_MAX];
};

/* A connection to a standby, by its number - 1. */
struct standby_session {
	uint64_t instance; /* identifies the server's process; 0: unknown, or a pooler */
	uint64_t timeline; /* that the server has shown; 0: none, or it is no standby */
	uint64_t replayed; /* position that this connection has told last */
	uint64_t told_at;  /* when; clock_ns() */
};

struct servers {
	struct standby_server list[STORE_SERVERS_MAX];
	unsigned count;
	struct standby_session readers[PG_CONNECTIONS_MAX];
	uint64_t timeline; /* the newest one known when they were last asked */
	char *url;         /* of the standbys; secret; NULL: none */
};

/* Returns -1 when there are more hosts than STORE_SERVERS_MAX, or no memory. */
int servers_init(struct split *split, struct err *err);
void servers_free(struct split *split);
/* Connects, asks those that are silent, and cuts those that do not answer. */
void servers_step(struct split *split, uint64_t now);
uint64_t servers_next_due(const struct split *split, uint64_t now);
/* The connection for a read of this client; NULL: *reason says why there is none. young: the
 * position that is young enough. */
struct pg_connection *servers_choose(
	struct split *split, struct history *history, uint64_t young, enum read_reason *reason);
/* Whether the connection leads to a standby that follows the newest primary. */
bool servers_follows(const struct split *split, const struct pg_connection *connection);
/* What a batch has told (proof.h). */
void servers_told(struct split *split, struct pg_connection *connection);
/* The connection has been lost. */
void servers_lost(struct split *split, const struct pg_connection *connection, const char *reason);
unsigned servers_show(const struct split *split, struct store_server out[STORE_SERVERS_MAX]);

/* The place in the list of the server that a connection is for. */
static inline unsigned servers_place(
	const struct servers *servers, const struct pg_connection *connection)
{
	return (connection->number - 1) % servers->count;
}

static inline struct standby_session *servers_reader(
	struct servers *servers, const struct pg_connection *connection)
{
	return &servers->readers[connection->number - 1];
}

#endif
