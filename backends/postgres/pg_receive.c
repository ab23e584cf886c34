#include "pg_receive.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <syslog.h>

#include "../../protocol/value.h"
#include "../execute.h"
#include "../secrets/rotation.h"
#include "../transaction.h"
#include "blocking/connect.h"
#include "encoder.h"
#include "gather.h"
#include "idempotency/pg_replay.h"
#include "pg_batch.h"
#include "pg_store.h"
#include "result.h"
#include "sending/send.h"
#include "upkeep/pg_rollup.h"

enum {
	NEW_CONNECTION_S = 2,
	UNASKED_MAX = 64 << 10,
	RESULT_MAX = 64 << 20,
	MERGE_PAUSE_S = 10,
	CAREFUL_S = 10
};

static void forget_statements(struct pg_connection *connection)
{
	memset(connection->prepared, 0, PG_PREPARED * sizeof *connection->prepared);
	connection->generation++;
}

/* Effects of a failure on connections. */
static enum outcome heed(struct postgres_store *store, struct pg_connection *connection,
	const struct call *call, enum outcome failure)
{
	if (failure == CALL_SUSPECT && !store->named && !store->pooled) {
		store->pooled = true;
		store->settings.log(5,
			"the session lost its settings: a pooler is in front of the database, "
			"each transaction sets them again");
		return CALL_RETRY;
	}
	if (failure == CALL_SUSPECT) {
		/* A new session may repair a damaged one. If the new one fails as well, the cause
		 * is the server. */
		bool new = clock_ns() - connection->born < (uint64_t)NEW_CONNECTION_S * 1000000000;

		failure = new ? CALL_DONE : CALL_MOVE;
	}
	if (failure == CALL_MOVE)
		pg_connection_closing(connection);
	if (failure == CALL_REPREPARE) {
		forget_statements(connection);
		/* Lost again after preparing it again: a pooler is now in between. */
		if (call->attempts > 0 && store->named) {
			store->named = false;
			store->pooled = true;
			store->settings.log(5,
				"the database keeps losing prepared statements: they are no longer "
				"prepared by name");
		}
	}
	for (unsigned i = 0; failure == CALL_REPREPARE_ALL && i < store->connection_limit; i++)
		forget_statements(&store->connections[i]);
	return failure;
}

/* Another program locks rows in another order, or another key of a new row exists. For a while no
 * lock is held while a call waits for another. */
static void note_deadlock(struct postgres_store *store)
{
	uint64_t now = clock_ns();

	if (now >= store->careful_until)
		store->settings.log(5,
			"the database server resolved a deadlock: for %d s each transaction "
			"changes one row",
			CAREFUL_S);
	store->careful_until = now + (uint64_t)CAREFUL_S * 1000000000;
}

/* A member that has failed ends its transaction, although the server knows of no error. */
static void end_early(struct pg_connection *connection, struct call *member)
{
	if (transaction_goes_on(member))
		return;
	connection->front->failed = member->within;
	connection->front->failure = CALL_DONE;
}

/* The server answers the COMMIT of an aborted transaction with ROLLBACK. */
static void not_committed(struct pg_connection *connection, struct call *call)
{
	execute_fail(call, ERR_UNAVAILABLE, "the database server rolled back the transaction");
	call->err.outcome = OUTCOME_NONE;
	connection->front->failed = call;
	connection->front->failure = CALL_RETRY;
	pg_batch_enter(connection->front, PG_BATCH_FAILED);
}

/* The health check asks for the format of the tokens, which another daemon may have changed. */
static void take_probe(struct postgres_store *store, const PGresult *result)
{
	if (PQntuples(result) == 1 && PQnfields(result) == 1 && PQgetlength(result, 0, 0) == 8)
		rotation_follow_format(&store->settings,
			(enum binding_format)(result_number(PQgetvalue(result, 0, 0), 8) - 1));
}

/* Four times the largest answer. */
static size_t result_max(const struct call *call)
{
	return call != NULL && call->answer.cap > RESULT_MAX / 4 ? call->answer.cap * 4
								 : RESULT_MAX;
}

/* A read runs again when there is memory for its result; its client's writes behind it are not sent
 * yet. All results of a transaction are kept until its end. */
static bool is_dropped(struct postgres_store *store, struct pg_connection *connection,
	struct call *call, const PGresult *result)
{
	struct pg_batch *batch = connection->front;
	size_t size = PQresultMemorySize(result);

	if (size <= STORE_LARGE_ANSWER)
		return false;
	if (call->within == NULL) {
		if (batch->writes || call == batch->admitted || call->order == NULL ||
			gather_has_room(store))
			return false;
		call->order->large = true;
		call->route = ROUTE_DROPPED;
		return true;
	}
	if (batch->kept_bytes + size <= result_max(call->within))
		return false;
	execute_fail(call, ERR_TOO_LARGE, "the database's answer is larger than an answer may be");
	end_early(connection, call);
	return true;
}

/* The result of the daemon's own work. */
static void take_own(
	struct postgres_store *store, struct pg_connection *connection, PGresult *result)
{
	if (connection->front->upkeep)
		pg_rollup_take(store, result);
	else
		take_probe(store, result);
	PQclear(result);
}

/* The result of a statement that belongs to the batch, not to one of its calls. */
static void take_statement(struct postgres_store *store, struct pg_connection *connection,
	const struct item *item, PGresult *result)
{
	bool sound = true;

	if (item->kind == ITEM_COMMIT && strcmp(PQcmdStatus(result), "COMMIT") != 0)
		not_committed(connection, item->call);
	else if (item->kind == ITEM_FIND_KEYS)
		sound = pg_replay_found(store, connection, result);
	else if (item->kind == ITEM_FORGET_KEYS)
		pg_replay_forgotten(store, result);
	else if (item->kind >= ITEM_TOLD && item->kind <= ITEM_COVERED)
		sound = proof_take(connection, item->kind, result);
	PQclear(result);
	if (!sound)
		pg_connection_break(
			store, connection, "the server sent an unexpected result", false);
}

/* Whether the results are those of the calls, whatever follows. */
static bool are_proven(const struct postgres_store *store, const struct pg_connection *connection,
	struct call *const *calls, unsigned count)
{
	for (unsigned i = 0; store->reads_only && i < count; i++)
		if (!split_covers(store->split, connection, calls[i]))
			return false;
	return true;
}

/* The result of one call or several. An error without effect on the transaction is the call's
 * own. */
static void take_rows(struct postgres_store *store, struct pg_connection *connection,
	const struct item *item, PGresult *result)
{
	bool many = item->count > 0;
	struct call *call = item->call,
		    **calls = many ? connection->front->merged + item->first : &call;

	if (!many && call->method == NULL) {
		take_own(store, connection, result);
		return;
	}
	/* When a member has failed, the transaction will be undone. */
	if (!many &&
		(call->err.kind != ERR_NONE ||
			(call->within != NULL && connection->front->failed != NULL) ||
			is_dropped(store, connection, call, result))) {
		PQclear(result);
		return;
	}
	if ((many || call->idempotency == NULL) &&
		are_proven(store, connection, calls, many ? item->count : 1) &&
		encoder_wants(store, result) &&
		encoder_keep(store, connection->front, calls, many ? item->count : 1, many, result))
		return;
	if (many) {
		result_many(store, calls, item->count, result);
	} else {
		execute_begin(call);
		(void)result_rows(store, call, result);
	}
	if (!many && call->within != NULL)
		end_early(connection, call);
	PQclear(result);
}

/* Another daemon has begun to bind the tokens of the database: the call is prepared anew for that
 * format. */
static enum outcome take_format(struct postgres_store *store, struct call *call, struct call *whole)
{
	if (seal_format(store->settings.seal) == BINDING_NONE)
		rotation_follow_format(&store->settings, BINDING_CHANGES);
	if (execute_follow_format(whole, store->settings.seal) < 0)
		return CALL_DONE;
	execute_fail(call, ERR_UNAVAILABLE, "the database kept refusing the format of the tokens");
	call->err.outcome = OUTCOME_NONE;
	return CALL_RETRY;
}

static void take_error(struct postgres_store *store, struct pg_connection *connection,
	const struct item *item, const PGresult *result)
{
	struct call *call = item->call,
		    *whole = call != NULL && call->within != NULL ? call->within : call;
	bool failed_before = connection->front->failed != NULL; /* a member, for the client only */

	connection->front->failed = whole;
	pg_batch_enter(connection->front, PG_BATCH_FAILED);
	if (call == NULL)
		return; /* old keys could not be removed: a later step does it */
	if (call->method == NULL) {
		err_set(&call->err, ERR_UNAVAILABLE, "the database refused the health check");
		connection->front->failure = CALL_DONE;
		return;
	}
	if (item->kind == ITEM_PREPARE)
		connection->prepared[item->statement] = false;
	if (failed_before)
		return;
	if (item->kind == ITEM_ADD_KEYS && connection->front->transaction != NULL)
		connection->front->open =
			true; /* the server skips the COMMIT: a ROLLBACK follows */
	if (pg_replay_collided(connection, item, result))
		return;
	/* A transaction of a client's calls locks rows in their order. */
	if (result_in_class(result, "40P01") && connection->front->transaction == NULL)
		note_deadlock(store);
	connection->front->failure = result_in_class(result, RESULT_UNBOUND)
		? take_format(store, call, whole)
		: heed(store, connection, whole, result_error(call, result));
	if (whole != call)
		(void)transaction_goes_on(call);
	if (item->count > 0) {
		/* Any of them, or the statement itself, may be the cause: they run again one by
		 * one. */
		store->merge_from = clock_ns() + (uint64_t)MERGE_PAUSE_S * 1000000000;
		if (connection->front->failure == CALL_DONE)
			connection->front->failure = CALL_RETRY;
	}
}

/* The last call of the batch that is not the health check; NULL: there is none. */
static struct call *last_method(struct pg_batch *batch)
{
	for (struct list *node = batch->calls.prev; node != &batch->calls; node = node->prev)
		if (call_of(node)->method != NULL)
			return call_of(node);
	return NULL;
}

static void take_commit_error(
	struct postgres_store *store, struct pg_connection *connection, const PGresult *result)
{
	struct pg_batch *batch = connection->front;
	struct call *last = last_method(batch);

	/* A server that breaks the protocol sends more than one. */
	if (batch->state != PG_BATCH_COMMIT_FAILED && batch->state != PG_BATCH_ENDING)
		pg_batch_enter(batch, PG_BATCH_COMMIT_FAILED);
	if (last == NULL || batch->failed != NULL)
		return;
	batch->failed = last;
	batch->failure = heed(store, connection, last, result_error(last, result));
}

/* A result that stands for a statement of the batch: taken. */
static void take_result(struct postgres_store *store, struct pg_connection *connection,
	struct item *item, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_PIPELINE_ABORTED || connection->front->state == PG_BATCH_FAILED) {
		if (item->kind == ITEM_PREPARE)
			connection->prepared[item->statement] =
				false; /* the server skipped it; earlier Prepares stay valid */
		PQclear(result);
		return;
	}
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
		if (item->kind == ITEM_CALL)
			take_rows(store, connection, item, result);
		else
			take_statement(store, connection, item, result);
		return;
	}
	if (store->reads_only && item->call != NULL)
		item->call->standby->reason = READ_CONFLICT;
	if (item->kind == ITEM_TOLD || item->kind == ITEM_SHOWN)
		pg_connection_break(store, connection, PQresultErrorMessage(result), false);
	else
		take_error(store, connection, item, result);
	PQclear(result);
}

/* libpq's own error, which has no SQLSTATE: the connection is broken, or libpq could not read what
 * the server sent. Or an error of class 08 from a pooler that lost its server, or of a server that
 * stopped during the commit. Or a pooler that the daemon does not know of yet has divided a batch
 * that was sent ahead between two sessions: a portal is missing (34000), and the other session may
 * commit what it has. The batch's outcome is unknown. */
static bool is_loss(const struct item *item, const PGresult *result)
{
	if (PQresultStatus(result) != PGRES_FATAL_ERROR)
		return false;
	if (PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL)
		return true;
	if (result_in_class(result, "34000"))
		return true;
	return result_fatal(result) &&
		(item->kind == ITEM_SYNC || item->kind == ITEM_COMMIT ||
			result_in_class(result, "08"));
}

/* A server that ends the session begins nothing more. A pooler whose server is gone, class 08, does
 * not know what that has begun. */
static bool ends_session(const PGresult *result)
{
	return result_fatal(result) && !result_in_class(result, "08");
}

static bool wrong_status(ExecStatusType status)
{
	return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH ||
		status == PGRES_BAD_RESPONSE;
}

void pg_receive_complete(struct postgres_store *store, struct pg_connection *connection)
{
	struct pg_batch *batch = connection->front;
	bool commit;

	if (!batch->open || store->closing)
		return;
	if (pg_store_outdated(store, connection)) {
		pg_connection_break(store, connection, "a newer primary has taken over", false);
		return;
	}
	commit = pg_batch_commits(batch);
	if (!send_end(store, connection, commit) || !pg_connection_push(store, connection))
		pg_connection_break(store, connection, PQerrorMessage(connection->pq), false);
}

/* The first Sync of a transaction has its result. False: nothing is open, since its BEGIN has
 * failed. */
static bool end_calls(struct postgres_store *store, struct pg_connection *connection,
	PGTransactionStatusType status)
{
	struct pg_batch *batch = connection->front;

	if (status == PQTRANS_INTRANS || status == PQTRANS_INERROR) {
		if (batch->failed == NULL && !batch->replay)
			encoder_submit(store, connection->front);
		return true;
	}
	batch->open = false;
	if (batch->failed != NULL)
		return false;
	/* Something has ended it, in whatever way. */
	pg_batch_enter(batch, PG_BATCH_SENT);
	pg_connection_break(store, connection, "the server ended a transaction by itself", false);
	return true;
}

/* Handles the Sync's result. */
static void end_batch(struct postgres_store *store, struct pg_connection *connection)
{
	PGTransactionStatusType status = PQtransactionStatus(connection->pq);

	if (connection->front->open && end_calls(store, connection, status))
		return;
	if (status == PQTRANS_INTRANS || status == PQTRANS_INERROR) {
		/* Something began a transaction on this connection: the Sync has committed nothing,
		 * and closing it rolls all back. */
		pg_batch_enter(connection->front, PG_BATCH_LEFT_OPEN);
		pg_connection_break(
			store, connection, "a transaction was left open on the connection", false);
		return;
	}
	if (connection->state == PG_CONNECTION_BUSY && connection->in_flight == 1)
		pg_connection_enter(connection, PG_CONNECTION_IDLE);
	pg_batch_end(store, connection);
	if (connection->state == PG_CONNECTION_CLOSING && connection->in_flight == 0)
		pg_connection_close(store, connection);
}

/* Handles one expected result of the first batch. False: no more results for now. */
static bool take_one(struct postgres_store *store, struct pg_connection *connection)
{
	struct item *item = &connection->front->items[connection->front->item_next];
	PGresult *result;
	ExecStatusType status;

	if (PQisBusy(connection->pq))
		return false;
	result = PQgetResult(connection->pq);
	if (result == NULL) {
		if (PQstatus(connection->pq) != CONNECTION_OK)
			return false;
		if (item->kind == ITEM_SYNC) {
			/* Behind the error of a commit libpq makes an end; the Sync's own result
			 * may be there already. */
			if (connection->front->state != PG_BATCH_COMMIT_FAILED)
				return false;
			pg_batch_enter(connection->front, PG_BATCH_ENDING);
			return true;
		}
		connection->front->item_next++; /* the end of one statement's results */
		return true;
	}
	status = PQresultStatus(result);
	if (status == PGRES_FATAL_ERROR) {
		pg_connection_close_reason(connection, result);
		connection->session_ended = connection->session_ended || ends_session(result);
	}
	if (wrong_status(status) || is_loss(item, result)) {
		if (result_unserved(result))
			pg_batch_enter(connection->front, PG_BATCH_UNSERVED);
		pg_connection_break(store, connection,
			wrong_status(status) ? "the server sent an unexpected result"
					     : PQresultErrorMessage(result),
			false);
		PQclear(result);
		return false;
	}
	if (status == PGRES_PIPELINE_SYNC) {
		PQclear(result);
		if (item->kind != ITEM_SYNC) {
			pg_connection_break(
				store, connection, "the server sent an unexpected result", false);
			return false;
		}
		connection->front->item_next++;
		end_batch(store, connection);
		return connection->in_flight > 0; /* those of the next batch may be there already */
	}
	if (item->kind != ITEM_SYNC) {
		take_result(store, connection, item, result);
		return true;
	}
	if (status == PGRES_FATAL_ERROR)
		take_commit_error(store, connection, result);
	PQclear(result);
	return true;
}

static size_t waiting_bytes(const struct pg_connection *connection)
{
	int bytes = 0;

	return ioctl(connection->socket, FIONREAD, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}

/* libpq buffers a result of any size until it is complete. */
static bool too_much(const struct pg_connection *connection)
{
	const struct call *call = connection->front->items[connection->front->item_next].call;

	return connection->received > result_max(call);
}

static void refuse_result(struct postgres_store *store, struct pg_connection *connection)
{
	const struct item *item = &connection->front->items[connection->front->item_next];
	struct call *call = item->kind == ITEM_CALL && item->count == 0 &&
			item->call != connection->front->failed
		? item->call
		: NULL;

	if (item->count > 0)
		store->merge_from = clock_ns() + (uint64_t)MERGE_PAUSE_S * 1000000000;
	if (call != NULL && call->within != NULL) {
		if (connection->front->failed == NULL) {
			execute_fail(call, ERR_TOO_LARGE,
				"the database's answer is larger than an answer may be");
			end_early(connection, call);
		}
	} else if (call != NULL) {
		list_remove(&call->link);
		connection->front->count--;
		execute_fail(call, ERR_TOO_LARGE,
			"the database's answer is larger than an answer may be");
		call->err.outcome = call->method != NULL && call->method->write ? OUTCOME_UNKNOWN
										: OUTCOME_NONE;
		pg_store_finish(call);
	}
	pg_connection_break(store, connection, "the server's result is too large", false);
}

/* Reads and counts the received bytes. A result that arrives in one piece is not counted, which
 * saves two system calls. */
static int consume(struct pg_connection *connection)
{
	bool counted = connection->front->slow_result || connection->state == PG_CONNECTION_IDLE;
	size_t before = counted ? waiting_bytes(connection) : 0;
	int consumed = PQconsumeInput(connection->pq);

	/* It also sends what the socket had no room for, so the Sync may have left by now. On a
	 * connection that has broken nobody can tell. */
	if (connection->back->state == PG_BATCH_GATHERED && !connection->back->open &&
		(consumed != 1 || PQflush(connection->pq) == 0))
		pg_batch_enter(connection->back, PG_BATCH_SENT);
	size_t after = counted ? waiting_bytes(connection) : 0;

	connection->received += before > after ? before - after : 0;
	/* Nothing waits for this result, which libpq would keep in memory. */
	for (PGnotify *notify; (notify = PQnotifies(connection->pq)) != NULL;)
		PQfreemem(notify);
	return consumed;
}

static void receive_some(struct postgres_store *store, struct pg_connection *connection)
{
	const struct pg_batch *batch = connection->front;
	unsigned next = batch->item_next;
	int consumed = consume(connection);

	if (connection->state == PG_CONNECTION_IDLE) {
		/* No request is open: the server has closed the connection, or reports a changed
		 * setting. libpq treats such a message as a notice. */
		if (connection->received <= UNASKED_MAX)
			(void)PQisBusy(connection->pq);
		if (consumed != 1 || PQstatus(connection->pq) != CONNECTION_OK)
			pg_connection_break(
				store, connection, PQerrorMessage(connection->pq), false);
		else if (connection->received > UNASKED_MAX)
			pg_connection_break(
				store, connection, "the server sent data without a request", false);
		return;
	}
	/* Reads what has arrived even when the connection has broken afterwards. */
	while (pg_connection_has_batch(connection) &&
		connection->front->item_next < connection->front->item_count &&
		take_one(store, connection))
		;
	connection->front->slow_result = connection->front == batch && batch->item_next == next;
	if (!connection->front->slow_result)
		connection->received = 0;
	if (!pg_connection_has_batch(connection))
		return;
	if (consumed != 1 || PQstatus(connection->pq) != CONNECTION_OK)
		pg_connection_break(store, connection, PQerrorMessage(connection->pq), false);
	else if (connection->front->open && connection->front->encoding == 0 &&
		connection->front->item_next == connection->front->item_count)
		pg_receive_complete(store, connection);
	else if (connection->front->slow_result && too_much(connection))
		refuse_result(store, connection);
}

void pg_receive(struct postgres_store *store, struct pg_connection *connection)
{
	/* Nothing is expected while the encoder works for a transaction. */
	if (connection->pq == NULL || connection->front->encoding > 0)
		return;
	if (connection->want_write && !pg_connection_push(store, connection)) {
		pg_connection_break(store, connection, PQerrorMessage(connection->pq), false);
		return;
	}
	do
		receive_some(store, connection);
	while (pg_connection_has_batch(connection) && connect_unread(connection->pq));
}
