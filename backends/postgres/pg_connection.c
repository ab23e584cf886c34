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

enum { IDLE_CHECK_S = 30, BATCH_START = 64, HOLD_MS = 50, OVERDUE = 3 };

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
	connection->front = connection->back = &connection->batches[0];
	connection->prepared = calloc(PG_PREPARED, sizeof *connection->prepared);
	return pg_batch_init(&connection->batches[0], number) && connection->prepared != NULL;
}

void pg_connection_free(struct pg_connection *connection)
{
	PQfinish(connection->pq);
	free(connection->prepared);
	for (unsigned i = 0; i < PG_BATCHES; i++)
		pg_batch_free(&connection->batches[i]);
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
	if (left == 0 && connection->back->state == PG_BATCH_GATHERED && !connection->back->open)
		pg_batch_enter(connection->back, PG_BATCH_SENT);
	watch_socket(store, connection, left == 1);
	return true;
}

bool pg_connection_outlived(
	const struct postgres_store *store, const struct pg_connection *connection, uint64_t now)
{
	uint64_t lifetime = store->settings.lifetime_ms * 1000000;
	/* Spreads connection ages over a tenth: connections opened together must not all close
	 * together. */
	uint64_t life =
		lifetime - lifetime / 10 * connection->number / (store->connection_limit + 1);

	return lifetime != 0 && now - connection->born > life;
}

/* Whether libpq keeps its place after the error of a Sync with more behind it. */
static bool libpq_keeps_place(void)
{
	int version = PQlibVersion();

	return version >= 160002 || (version >= 150006 && version < 160000) ||
		(version >= 140011 && version < 150000);
}

/* docs/design.md, "Batches sent ahead", gives the reasons. */
bool pg_connection_sends_ahead(
	const struct postgres_store *store, const struct pg_connection *connection, uint64_t now)
{
	if (!connection->far || connection->state != PG_CONNECTION_BUSY)
		return false;
	return connection->in_flight < PG_BATCHES && !connection->draining &&
		connection->back->quick && connection->back->state == PG_BATCH_SENT &&
		connection->cancelling == 0 &&
		now < connection->front->sent_at + OVERDUE * connection->quickest && store->named &&
		!store->pooled && !store->closing && now < store->forget_at &&
		!pg_connection_outlived(store, connection, now) && libpq_keeps_place();
}

/* The batch to be gathered, `back`; false: none can be sent now. */
static bool next_batch(struct postgres_store *store, struct pg_connection *connection)
{
	struct pg_batch *batch;

	if (connection->state == PG_CONNECTION_IDLE)
		return connection->cancelling == 0;
	if (!pg_connection_sends_ahead(store, connection, clock_ns()))
		return false;
	batch = pg_connection_batch(connection, connection->in_flight);
	if (batch->items == NULL && !pg_batch_init(batch, connection->number)) {
		pg_batch_free(batch);
		return false;
	}
	connection->back = batch;
	return true;
}

static void put_under_way(struct pg_connection *connection)
{
	if (connection->in_flight++ == 0)
		pg_connection_enter(connection, PG_CONNECTION_BUSY);
	pg_batch_gathered(connection->back);
}

bool pg_connection_send(struct postgres_store *store, struct pg_connection *connection)
{
	struct pg_batch *last = connection->back;
	bool ahead = connection->in_flight > 0;

	if (list_empty(&connection->waiting) || !next_batch(store, connection))
		return false;
	pg_batch_begin(connection->back);
	/* A step of the roll-up is alone in its batch, and waits for those under way. */
	connection->back->upkeep =
		!ahead && call_of(list_first(&connection->waiting)) == &store->rollup.call;
	/* After a long idle time the server may be gone without a word: a lone Sync finds out
	 * before a write is at stake. */
	if (!ahead && !connection->back->upkeep &&
		clock_ns() - connection->last_used >= (uint64_t)IDLE_CHECK_S * 1000000000) {
		connection->last_used = clock_ns();
		connection->back->quick = false;
	} else if (!gather_postgres(store, connection)) {
		connection->back = last;
		return false;
	}
	if (!ahead)
		connection->received = 0;
	store->ahead += ahead;
	put_under_way(connection);
	if (!send_batch(store, connection) || !pg_connection_push(store, connection)) {
		pg_connection_break(store, connection, PQerrorMessage(connection->pq), false);
		return false;
	}
	return true;
}

bool pg_connection_upkeep(struct postgres_store *store, struct pg_connection *connection,
	bool (*queue)(struct postgres_store *, struct pg_connection *))
{
	pg_batch_begin(connection->back);
	connection->back->upkeep = true;
	connection->back->quick = false;
	connection->received = 0;
	put_under_way(connection);
	if (queue(store, connection) && pg_connection_push(store, connection))
		return true;
	pg_connection_break(store, connection, PQerrorMessage(connection->pq), false);
	return false;
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
	if (store->reads_only)
		servers_lost(store->split, connection, text);
	else if (!store->closing)
		outage_note(store, text);
	store->reconnects++;
	if (connection->front->state == PG_BATCH_UNSERVED)
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
	connection->front->warned = connection->front->warned ||
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
	connection->session_ended = connection->far = false;
	connection->measured = 0;
	connection->quickest = UINT64_MAX;
	connection->cancelling = 0;
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
