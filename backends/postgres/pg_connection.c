#include "pg_connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>

#include "../execute.h"
#include "blocking/connect.h"
#include "gather.h"
#include "idempotency/pg_replay.h"
#include "outage.h"
#include "pg_batch.h"
#include "pg_store.h"
#include "result.h"
#include "sending/send.h"

enum { IDLE_CHECK_S = 30, BATCH_START = 64, HOLD_MS = 50 };

static const char *const state_names[PG_CONNECTION_STATES] = {
	"closed", "connecting", "idle", "busy", "closing"};

static const uint32_t allowed_changes[PG_CONNECTION_STATES] = {
	[PG_CONNECTION_CLOSED] = STATE(PG_CONNECTION_CONNECTING),
	[PG_CONNECTION_CONNECTING] = STATE(PG_CONNECTION_IDLE) | STATE(PG_CONNECTION_CLOSED),
	[PG_CONNECTION_IDLE] = STATE(PG_CONNECTION_BUSY) | STATE(PG_CONNECTION_CLOSING),
	[PG_CONNECTION_BUSY] = STATE(PG_CONNECTION_IDLE) | STATE(PG_CONNECTION_CLOSING),
	[PG_CONNECTION_CLOSING] = STATE(PG_CONNECTION_CLOSED),
};

const struct state_machine pg_connection_states = {
	"database connection", state_names, allowed_changes, PG_CONNECTION_STATES};

bool pg_connection_init(struct pg_connection *connection, unsigned number)
{
	connection->number = number;
	connection->socket = -1;
	list_init(&connection->waiting);
	connection->prepared = calloc(PG_PREPARED, sizeof *connection->prepared);
	return pg_batch_init(&connection->batch, number) && connection->prepared != NULL;
}

void pg_connection_free(struct pg_connection *connection)
{
	PQfinish(connection->pq);
	free(connection->prepared);
	pg_batch_free(&connection->batch);
}

void pg_connection_closing(struct pg_connection *connection)
{
	if (connection->state != PG_CONNECTION_CLOSING)
		pg_connection_enter(connection, PG_CONNECTION_CLOSING);
}

static void watch_socket(
	struct postgres_store *store, struct pg_connection *connection, bool want_write)
{
	struct epoll_event event = {.events = want_write ? EPOLLIN | EPOLLOUT : EPOLLIN,
		.data.u32 = connection->number};
	int socket = PQsocket(connection->pq);

	if (socket == connection->socket && want_write == connection->want_write)
		return;
	(void)epoll_ctl(store->epoll, socket == connection->socket ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
		socket, &event);
	connection->socket = socket;
	connection->want_write = want_write;
}

bool pg_connection_push(struct postgres_store *store, struct pg_connection *connection)
{
	int left = PQflush(connection->pq);

	if (left < 0)
		return false;
	if (left == 0 && connection->batch.state == PG_BATCH_GATHERED && !connection->batch.open)
		pg_batch_enter(&connection->batch, PG_BATCH_SENT);
	watch_socket(store, connection, left == 1);
	return true;
}

bool pg_connection_send(struct postgres_store *store, struct pg_connection *connection)
{
	if (connection->state != PG_CONNECTION_IDLE || list_empty(&connection->waiting))
		return false;
	pg_batch_begin(&connection->batch);
	/* A step of the roll-up is alone in its batch. */
	connection->batch.upkeep = call_of(list_first(&connection->waiting)) == &store->rollup.call;
	connection->received = 0;
	/* After a long idle time the server may be gone without a word: a lone Sync finds out
	 * before a write is at stake. */
	if (!connection->batch.upkeep &&
		clock_ns() - connection->last_used >= (uint64_t)IDLE_CHECK_S * 1000000000)
		connection->last_used = clock_ns();
	else if (!gather_postgres(store, connection))
		return false;
	pg_connection_enter(connection, PG_CONNECTION_BUSY);
	pg_batch_gathered(&connection->batch);
	if (!send_batch(store, connection) || !pg_connection_push(store, connection)) {
		pg_connection_break(store, connection, PQerrorMessage(connection->pq), false);
		return false;
	}
	return true;
}

void pg_connection_forget(struct postgres_store *store, struct pg_connection *connection)
{
	pg_batch_begin(&connection->batch);
	connection->batch.upkeep = true;
	connection->received = 0;
	pg_connection_enter(connection, PG_CONNECTION_BUSY);
	pg_batch_gathered(&connection->batch);
	if (!pg_replay_forget(store, connection) || !pg_connection_push(store, connection))
		pg_connection_break(store, connection, PQerrorMessage(connection->pq), false);
}

void pg_connection_close(struct postgres_store *store, struct pg_connection *connection)
{
	pg_connection_closing(connection);
	/* A socket that libpq has closed is no longer in the epoll set, and its number may belong
	 * to another connection. */
	if (connection->socket >= 0 && PQsocket(connection->pq) == connection->socket)
		(void)epoll_ctl(store->epoll, EPOLL_CTL_DEL, connection->socket, NULL);
	PQfinish(connection->pq);
	connection->pq = NULL;
	connection->socket = -1;
	connection->want_write = false;
	pg_connection_enter(connection, PG_CONNECTION_CLOSED);
	/* Their `order` moves with them: later calls of the same client must wait with them. */
	list_for_each (node, &connection->waiting)
		if (call_of(node)->order != NULL)
			call_of(node)->order->connection = 0;
	list_splice_front(&store->waiting, &connection->waiting);
	store->waiting_count += connection->waiting_count;
	connection->waiting_count = 0;
}

void pg_connection_break(struct postgres_store *store, struct pg_connection *connection,
	const char *reason, bool timed_out)
{
	char text[ERR_MESSAGE_MAX];
	size_t length;

	(void)snprintf(text, sizeof text, "%.300s",
		connection->close_reason[0] != '\0' ? connection->close_reason : reason);
	for (length = strlen(text); length > 0 && text[length - 1] == '\n'; length--)
		text[length - 1] = '\0';
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == '"')
			*p = ' ';
	if (!store->closing)
		outage_note(store, text);
	store->reconnects++;
	if (connection->batch.state == PG_BATCH_UNSERVED)
		outage_unserved(store);
	else
		store->hold_until = clock_ns() + (uint64_t)HOLD_MS * 1000000;
	if (pg_connection_has_batch(connection)) {
		pg_connection_closing(connection);
		pg_batch_lost(store, connection, timed_out);
	}
	pg_connection_close(store, connection);
}

/* "terminating connection due to …", which names no row; the end of the connection follows. */
void pg_connection_close_reason(struct pg_connection *connection, const PGresult *result)
{
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (text != NULL && result_in_class(result, "57P") && result_fatal(result))
		(void)snprintf(
			connection->close_reason, sizeof connection->close_reason, "%s", text);
}

/* Discards the text: it may quote rows, and a server can send notices without limit. */
static void note_warning(void *argument, const PGresult *result)
{
	struct pg_connection *connection = argument;
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	pg_connection_close_reason(connection, result);
	/* A function of the database's owner that warns has a context; a commit has none. */
	connection->batch.warned = connection->batch.warned ||
		(severity != NULL && strcmp(severity, "WARNING") == 0 &&
			PQresultErrorField(result, PG_DIAG_CONTEXT) == NULL);
}

void pg_connection_adopt(struct postgres_store *store, struct pg_connection *connection, PGconn *pq,
	const struct lineage *lineage)
{
	connection->pq = pq;
	/* A pooler may lead each transaction to another server. */
	connection->timeline = store->pooled ? 0 : lineage->timeline;
	connection->standby = !store->pooled && lineage->standby;
	pg_connection_enter(connection, PG_CONNECTION_IDLE);
	connection->socket = -1;
	connection->want_write = false;
	connection->close_reason[0] = '\0';
	connection->batch_limit = BATCH_START;
	connection->born = connection->last_used = clock_ns();
	memset(connection->prepared, 0, PG_PREPARED * sizeof *connection->prepared);
	PQsetNoticeReceiver(pq, note_warning, connection);
	if (PQsetnonblocking(pq, 1) != 0 || PQenterPipelineMode(pq) != 1) {
		pg_connection_close(store, connection);
		return;
	}
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = connection->number};
	connection->socket = PQsocket(pq);
	(void)epoll_ctl(store->epoll, EPOLL_CTL_ADD, connection->socket, &event);
}
