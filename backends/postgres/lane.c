/* One connection's traffic: a group out, its results in. */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "../execute.h"
#include "postgres.h"

enum { IDLE_CHECK_S = 30, GROUP_START = 64, NEW_LANE_S = 2, HOLD_MS = 50, UNASKED_MAX = 64 << 10, RESULT_MAX = 64 << 20, MERGE_PAUSE_S = 10, CAREFUL_S = 10 };

void lane_watch(struct postgres_store *store, struct lane *lane, bool want_write)
{
	struct epoll_event event = {.events = want_write ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.u32 = lane->number};
	int socket = PQsocket(lane->connection);

	if (socket == lane->socket && want_write == lane->want_write)
		return;
	(void)epoll_ctl(store->epoll, socket == lane->socket ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event);
	lane->socket = socket;
	lane->want_write = want_write;
}

/* As much to the socket as it takes; the rest when epoll says so. False: the connection is gone. */
static bool push_out(struct postgres_store *store, struct lane *lane)
{
	int left = PQflush(lane->connection);

	if (left < 0)
		return false;
	lane->all_sent = left == 0;
	lane_watch(store, lane, left == 1);
	return true;
}

bool lane_send(struct postgres_store *store, struct lane *lane)
{
	if (lane->state != LANE_READY || list_empty(&lane->waiting))
		return false;
	lane->item_count = lane->item_next = lane->merged_count = 0;
	lane->failed = NULL;
	lane->commit_failed = false;
	lane->cancelled_at = 0;
	lane->all_sent = lane->warned = lane->unserved = lane->slow_result = lane->looked_again = false;
	lane->received = 0;
	lane->locking = lane->large = 0;
	lane->group_bytes = 0;
	/* After a long idle time the server may be gone without a word: a lone Sync finds out before a write is at stake. */
	if (clock_ns() - lane->last_used < (uint64_t)IDLE_CHECK_S * 1000000000)
		lane_gather(store, lane);
	else
		lane->last_used = clock_ns();
	lane->state = LANE_BUSY;
	lane->sent_at = clock_ns();
	lane->due = 0;
	list_for_each(node, &lane->group) {
		uint64_t deadline = call_of(node)->deadline;

		if (deadline != 0 && (lane->due == 0 || deadline < lane->due))
			lane->due = deadline;
	}
	if (!send_group(store, lane) || PQpipelineSync(lane->connection) != 1 || !push_out(store, lane)) {
		lane_break(store, lane, PQerrorMessage(lane->connection), false);
		return false;
	}
	return true;
}

void lane_forget(struct postgres_store *store, struct lane *lane)
{
	(void)store;
	memset(lane->prepared, 0, 2 * catalog_method_count * sizeof *lane->prepared);
	lane->generation++;
}

/* What a failure says about connections. */
static enum outcome heed(struct postgres_store *store, struct lane *lane, const struct call *call, enum outcome failure)
{
	if (failure == CALL_SUSPECT && !store->named && !store->pooled) {
		store->pooled = true;
		store->settings.log(5, "the session lost its settings: a pooler stands before the database, each transaction brings them");
		return CALL_RETRY;
	}
	if (failure == CALL_SUSPECT) {
		/* The session may have been spoilt, which a new one would mend; one that is new itself shows that the server is so. */
		bool new = clock_ns() - lane->born < (uint64_t)NEW_LANE_S * 1000000000;

		failure = new ? CALL_DONE : CALL_MOVE;
	}
	if (failure == CALL_MOVE)
		lane->doomed = true;
	if (failure == CALL_REPREPARE) {
		lane_forget(store, lane);
		/* Lost again although it was prepared anew: a pooler has come between. */
		if (call->attempts > 0 && store->named) {
			store->named = false;
			store->pooled = true;
			store->settings.log(5, "the database keeps losing statements: they are prepared by name no more");
		}
	}
	for (unsigned i = 0; failure == CALL_REPREPARE_ALL && i < store->lane_count; i++)
		lane_forget(store, &store->lanes[i]);
	return failure;
}

/* Somebody else locks rows in another order, or another key of a new row was taken: for a while nothing is held while a
 * call waits for a lock. */
static void note_deadlock(struct postgres_store *store)
{
	uint64_t now = clock_ns();

	if (now >= store->careful_until)
		store->settings.log(5, "the database server ended a deadlock: for %d s each transaction changes one row", CAREFUL_S);
	store->careful_until = now + (uint64_t)CAREFUL_S * 1000000000;
}

/* What a call or several asked for. A failure here is the call's own and leaves the transaction alone. */
static void take_rows(struct postgres_store *store, struct lane *lane, const struct item *item, PGresult *result)
{
	bool many = item->count > 0;
	struct call *call = item->call, **calls = many ? lane->merged + item->first : &call;

	if (item->kind != ITEM_CALL || (!many && (call->method == NULL || call->err.kind != ERR_NONE))) {
		PQclear(result);
		return;
	}
	if (encoder_wants(store, result) && encoder_keep(lane, calls, many ? item->count : 1, many, result))
		return;
	if (many) {
		result_many(store, calls, item->count, result);
	} else {
		execute_begin(call);
		(void)result_rows(store, call, result);
	}
	PQclear(result);
}

static void take_error(struct postgres_store *store, struct lane *lane, const struct item *item, const PGresult *result)
{
	struct call *call = item->call;

	lane->failed = call;
	if (call->method == NULL) {
		err_set(&call->err, ERR_UNAVAILABLE, "the database refused the question");
		lane->failure = CALL_DONE;
		return;
	}
	if (item->kind == ITEM_PREPARE)
		lane->prepared[item->statement] = false;
	if (result_in_class(result, "40P01"))
		note_deadlock(store);
	lane->failure = heed(store, lane, call, result_error(call, result));
	if (item->count > 0) {
		/* Whichever of them it was, or none but the statement: they run again one by one. */
		store->merge_from = clock_ns() + (uint64_t)MERGE_PAUSE_S * 1000000000;
		if (lane->failure == CALL_DONE)
			lane->failure = CALL_RETRY;
	}
}

/* A result that stands for a statement of the group: taken. */
static void take_result(struct postgres_store *store, struct lane *lane, struct item *item, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_PIPELINE_ABORTED || lane->failed != NULL) {
		if (item->kind == ITEM_PREPARE)
			lane->prepared[item->statement] = false; /* the server passed over it; what it had prepared before stays */
		PQclear(result);
		return;
	}
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
		take_rows(store, lane, item, result);
		return;
	}
	take_error(store, lane, item, result);
	PQclear(result);
}

/* "terminating connection due to …", which names no row; the connection's end comes right behind it. */
static void note_parting(struct lane *lane, const PGresult *result)
{
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (text != NULL && result_in_class(result, "57P") && result_fatal(result))
		(void)snprintf(lane->parting, sizeof lane->parting, "%s", text);
}

/* libpq's own word that the connection broke, which has no SQLSTATE; or that of a pooler whose server went (08…), or of a server that
 * went while it committed: nobody knows what became of the group. */
static bool is_loss(const struct lane *lane, const struct item *item, const PGresult *result)
{
	if (PQresultStatus(result) != PGRES_FATAL_ERROR)
		return false;
	if (PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL)
		return PQstatus(lane->connection) != CONNECTION_OK;
	return result_fatal(result) && (item->kind == ITEM_SYNC || result_in_class(result, "08"));
}

static bool wrong_status(ExecStatusType status)
{
	return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH || status == PGRES_BAD_RESPONSE;
}

/* One result of what is expected. False: nothing more to take now. */
static bool take_one(struct postgres_store *store, struct lane *lane)
{
	struct item *item = &lane->items[lane->item_next];
	PGresult *result;
	ExecStatusType status;

	if (PQisBusy(lane->connection))
		return false;
	result = PQgetResult(lane->connection);
	if (result == NULL) {
		if (PQstatus(lane->connection) != CONNECTION_OK)
			return false;
		if (item->kind == ITEM_SYNC) {
			/* Behind the error of a commit libpq makes an end; the Sync's own result may be there already. */
			bool again = lane->commit_failed && !lane->looked_again;

			lane->looked_again = true;
			return again;
		}
		lane->item_next++; /* the end of one statement's results */
		return true;
	}
	status = PQresultStatus(result);
	if (status == PGRES_FATAL_ERROR)
		note_parting(lane, result);
	if (wrong_status(status) || is_loss(lane, item, result)) {
		lane->unserved = result_unserved(result);
		lane_break(store, lane, wrong_status(status) ? "the server answered out of turn" : PQresultErrorMessage(result), false);
		PQclear(result);
		return false;
	}
	if (status == PGRES_PIPELINE_SYNC) {
		PQclear(result);
		if (item->kind != ITEM_SYNC) {
			lane_break(store, lane, "the server answered out of turn", false);
			return false;
		}
		lane->item_next++;
		group_end(store, lane);
		return false;
	}
	if (item->kind == ITEM_SYNC) {
		lane->commit_failed = status == PGRES_FATAL_ERROR;
		if (lane->commit_failed && !list_empty(&lane->group) && lane->failed == NULL) {
			struct call *last = call_of(lane->group.prev);

			if (last->method != NULL) {
				lane->failed = last;
				lane->failure = heed(store, lane, last, result_error(last, result));
			}
		}
	} else {
		take_result(store, lane, item, result);
		return true;
	}
	PQclear(result);
	return true;
}

static size_t waiting_bytes(const struct lane *lane)
{
	int bytes = 0;

	return ioctl(lane->socket, FIONREAD, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}

/* libpq keeps a result until it is whole, however large the server makes it: four times the largest answer, no more. */
static bool too_much(const struct lane *lane)
{
	const struct call *call = lane->items[lane->item_next].call;
	size_t most = call != NULL && call->answer.cap > RESULT_MAX / 4 ? call->answer.cap * 4 : RESULT_MAX;

	return lane->received > most;
}

static void refuse_result(struct postgres_store *store, struct lane *lane)
{
	const struct item *item = &lane->items[lane->item_next];
	struct call *call = item->kind == ITEM_CALL && item->count == 0 && item->call != lane->failed ? item->call : NULL;

	if (item->count > 0)
		store->merge_from = clock_ns() + (uint64_t)MERGE_PAUSE_S * 1000000000;
	if (call != NULL) {
		list_remove(&call->link);
		lane->group_count--;
		execute_fail(call, ERR_TOO_LARGE, "the database's answer is larger than an answer may be");
		call->err.outcome = call->method != NULL && call->method->write ? OUTCOME_UNKNOWN : OUTCOME_NONE;
		postgres_finish(store, call);
	}
	lane_break(store, lane, "the server's answer is too large", false);
}

/* Reads what has come and counts it; nothing is counted of results that come in one piece, which spares two system calls. */
static int consume(struct lane *lane)
{
	bool counted = lane->slow_result || lane->state == LANE_READY;
	size_t before = counted ? waiting_bytes(lane) : 0;
	int consumed = PQconsumeInput(lane->connection);
	size_t after = counted ? waiting_bytes(lane) : 0;

	lane->received += before > after ? before - after : 0;
	/* Whatever it is, nobody listens; libpq would keep it. */
	for (PGnotify *notify; (notify = PQnotifies(lane->connection)) != NULL;)
		PQfreemem(notify);
	return consumed;
}

static void receive_some(struct postgres_store *store, struct lane *lane)
{
	unsigned next = lane->item_next;
	int consumed = consume(lane);

	if (lane->state == LANE_READY) {
		/* Nothing was asked: the server has gone, or tells of a setting that changed. What it says is a notice to libpq. */
		if (lane->received <= UNASKED_MAX)
			(void)PQisBusy(lane->connection);
		if (consumed != 1 || PQstatus(lane->connection) != CONNECTION_OK)
			lane_break(store, lane, PQerrorMessage(lane->connection), false);
		else if (lane->received > UNASKED_MAX)
			lane_break(store, lane, "the server says more than it was asked", false);
		return;
	}
	/* What has arrived is read even when the connection broke behind it. */
	while (lane->state == LANE_BUSY && lane->item_next < lane->item_count && take_one(store, lane))
		;
	lane->slow_result = lane->item_next == next;
	if (!lane->slow_result)
		lane->received = 0;
	if (lane->state != LANE_BUSY)
		return;
	if (consumed != 1 || PQstatus(lane->connection) != CONNECTION_OK)
		lane_break(store, lane, PQerrorMessage(lane->connection), false);
	else if (lane->slow_result && too_much(lane))
		refuse_result(store, lane);
}

void lane_receive(struct postgres_store *store, struct lane *lane)
{
	if (lane->connection == NULL)
		return;
	if (lane->want_write && !push_out(store, lane)) {
		lane_break(store, lane, PQerrorMessage(lane->connection), false);
		return;
	}
	do
		receive_some(store, lane);
	while (lane->state == LANE_BUSY && postgres_unread(lane->connection));
}

void lane_close(struct postgres_store *store, struct lane *lane)
{
	/* What libpq has closed itself is out of the epoll set, and its number may be another connection's by now. */
	if (lane->socket >= 0 && PQsocket(lane->connection) == lane->socket)
		(void)epoll_ctl(store->epoll, EPOLL_CTL_DEL, lane->socket, NULL);
	PQfinish(lane->connection);
	lane->connection = NULL;
	lane->socket = -1;
	lane->want_write = false;
	lane->state = LANE_EMPTY;
	lane->doomed = false;
	/* Their order goes with them: whoever follows them must wait with them. */
	list_for_each(node, &lane->waiting)
		if (call_of(node)->order != NULL)
			call_of(node)->order->lane = 0;
	list_splice_front(&store->waiting, &lane->waiting);
	store->waiting_count += lane->waiting_count;
	lane->waiting_count = 0;
}

void lane_break(struct postgres_store *store, struct lane *lane, const char *reason, bool timed_out)
{
	char text[ERR_MESSAGE_MAX];
	size_t length;

	(void)snprintf(text, sizeof text, "%.300s", lane->parting[0] != '\0' ? lane->parting : reason);
	for (length = strlen(text); length > 0 && text[length - 1] == '\n'; length--)
		text[length - 1] = '\0';
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == '"')
			*p = ' ';
	if (!store->closing)
		postgres_note_error(store, text);
	store->reconnects++;
	if (lane->unserved)
		pool_unserved(store);
	else
		store->hold_until = clock_ns() + (uint64_t)HOLD_MS * 1000000;
	if (lane->state == LANE_BUSY)
		group_lost(store, lane, timed_out);
	lane_close(store, lane);
}

/* Nothing else of their texts is kept: they may quote rows, and a server can send them without end. */
static void note_warning(void *argument, const PGresult *result)
{
	struct lane *lane = argument;
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	note_parting(lane, result);
	/* A function of the database's owner that warns has a context; a commit has none. */
	lane->warned = lane->warned || (severity != NULL && strcmp(severity, "WARNING") == 0 &&
	                                PQresultErrorField(result, PG_DIAG_CONTEXT) == NULL);
}

void pool_adopt(struct postgres_store *store, struct lane *lane, PGconn *connection)
{
	lane->connection = connection;
	lane->state = LANE_READY;
	lane->socket = -1;
	lane->want_write = false;
	lane->parting[0] = '\0';
	lane->group_limit = GROUP_START;
	lane->group_count = lane->item_count = lane->item_next = 0;
	lane->born = lane->last_used = clock_ns();
	memset(lane->prepared, 0, 2 * catalog_method_count * sizeof *lane->prepared);
	PQsetNoticeReceiver(connection, note_warning, lane);
	if (PQsetnonblocking(connection, 1) != 0 || PQenterPipelineMode(connection) != 1) {
		lane_close(store, lane);
		return;
	}
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = lane->number};
	lane->socket = PQsocket(connection);
	(void)epoll_ctl(store->epoll, EPOLL_CTL_ADD, lane->socket, &event);
}
