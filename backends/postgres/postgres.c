/* The PostgreSQL store as the daemon uses it. See pg_store.h for its design. */
#include "postgres.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sysexits.h>
#include <syslog.h>
#include <time.h>

#include "../../protocol/value.h"
#include "../execute.h"
#include "../secrets/seal_log.h"
#include "blocking/connect.h"
#include "blocking/format.h"
#include "blocking/keys.h"
#include "blocking/migrate.h"
#include "blocking/verify.h"
#include "cluster/guard.h"
#include "cluster/hosts.h"
#include "gather.h"
#include "outage.h"
#include "pg_receive.h"
#include "pg_store.h"
#include "placing.h"
#include "pool.h"
#include "upkeep/pg_rollup.h"

/* On its own: otherwise the text would be cleared for each call. */
__attribute__((noinline)) static void postgres_refuse(
	struct postgres_store *store, struct call *call)
{
	char cause[ERR_MESSAGE_MAX];

	outage_cause(store, cause);
	execute_fail(call, ERR_UNAVAILABLE, "too many calls wait for a database connection: %.260s",
		cause);
	call->err.outcome = OUTCOME_NONE;
	list_append(&store->completed, &call->link);
}

static void postgres_submit(struct store *base, struct call *call)
{
	struct postgres_store *store = pg_store_of(base);

	list_init(&call->link);
	call->attempts = 0;
	call->route = pg_batch_is_own(call) ? ROUTE_ALONE : ROUTE_TOGETHER;
	if (call->method->impl == IMPL_MIGRATE) {
		if (jobs_migrate(store, call)) {
			call->order->reads++;
		} else {
			execute_fail(call, ERR_INTERNAL, "a thread could not be started");
			list_append(&store->completed, &call->link);
		}
		return;
	}
	if (call->method->impl == IMPL_ROTATE_KEY) {
		if (!store->rotating && jobs_rotate(store, call)) {
			call->order->reads++;
		} else {
			execute_fail(
				call, ERR_UNAVAILABLE, "another call of rotate_key is under way");
			list_append(&store->completed, &call->link);
		}
		return;
	}
	if (execute_prepare(call, store->settings.seal) < 0) {
		list_append(&store->completed, &call->link);
		return;
	}
	if (store->waiting_count >= store->settings.queue) {
		postgres_refuse(store, call);
		return;
	}
	if (call->method->write)
		pg_rollup_note_write(store);
	if (store->split != NULL)
		split_place(store->split, call);
	else
		placing_place(store, call);
}

static void place_rollup(struct postgres_store *store)
{
	struct call *call = pg_rollup_begin(store);

	if (call != NULL)
		placing_place(store, call);
}

static bool postgres_memory(struct store *base, size_t free)
{
	struct postgres_store *store = pg_store_of(base);

	store->answer_room = free;
	if (store->split != NULL)
		store->split->readers->answer_room = free;
	if (!store->no_room || !gather_has_room(store))
		return false;
	store->no_room = false;
	return true;
}

static void postgres_pause(struct store *base, bool paused)
{
	pg_store_of(base)->rollup.quiet = paused;
}

static void flush(struct store *base)
{
	jobs_count_seals(pg_store_of(base));
	if (pg_store_of(base)->split != NULL)
		split_flush(pg_store_of(base)->split);
	pool_distribute(pg_store_of(base));
	call_deliver(&pg_store_of(base)->completed);
}

static int postgres_fd(struct store *base)
{
	return pg_store_of(base)->epoll;
}

/* Transactions that waited for the encoder end. */
static void end_encoded(struct postgres_store *store)
{
	for (unsigned i = 0; store->encoded > 0 && i < store->connection_limit; i++) {
		struct pg_batch *batch = store->connections[i].front;

		if (!batch->encoded)
			continue;
		batch->encoded = false;
		store->encoded--;
		pg_receive_complete(store, &store->connections[i]);
	}
}

static void process_events(struct postgres_store *store)
{
	struct epoll_event events[64];
	int count = epoll_wait(store->epoll, events, 64, 0);

	store->iteration_bytes = 0;
	for (int i = 0; i < count; i++) {
		switch (events[i].data.u32) {
		case PG_EVENT_MAILBOX:
			jobs_collect(store);
			encoder_collect(store);
			end_encoded(store);
			break;
		case PG_EVENT_READERS:
			process_events(store->split->readers);
			break;
		case PG_EVENT_SAMPLER:
			sampler_receive(store->split);
			break;
		default:
			pg_receive(store, &store->connections[events[i].data.u32 - 1]);
		}
	}
	if (count <= 0)
		pool_timers(store); /* called on a time-out, not for a socket */
}

static void process(struct store *base)
{
	struct postgres_store *store = pg_store_of(base);

	process_events(store);
	if (store->split != NULL)
		split_step(store->split);
	place_rollup(store);
	pool_distribute(store);
}

static int postgres_tick(struct store *base, struct err *err)
{
	struct postgres_store *store = pg_store_of(base);

	(void)err; /* an outage never ends the daemon */
	pool_timers(store);
	if (store->split != NULL) {
		pool_timers(store->split->readers);
		split_step(store->split);
	}
	place_rollup(store);
	pool_distribute(store);
	return 0;
}

static uint64_t postgres_next_due(struct store *base)
{
	struct postgres_store *store = pg_store_of(base);
	uint64_t due = pool_next_due(store), step = pg_rollup_next_due(store);

	due = due == 0 || (step != 0 && step < due) ? step : due;
	step = store->split != NULL ? split_next_due(store->split) : 0;
	return due == 0 || (step != 0 && step < due) ? step : due;
}

/* The numbers of the store's own connections and batches, added up. */
static void add_stats(struct postgres_store *store, struct store_stats *out)
{
	for (unsigned i = 0; i < store->connection_limit; i++) {
		const struct pg_connection *connection = &store->connections[i];

		out->connections_idle += connection->state == PG_CONNECTION_IDLE;
		out->connections_active += pg_connection_has_batch(connection);
		out->connections_connecting += connection->state == PG_CONNECTION_CONNECTING;
		out->queued += connection->waiting_count;
		for (unsigned k = 0; k < connection->in_flight; k++)
			out->running += pg_connection_batch(connection, k)->count;
	}
	out->running += store->encoding;
	out->connections_max += store->connection_limit;
	out->queued += store->waiting_count;
	out->transactions += store->transactions;
	out->batched_calls += store->batched;
	out->batches_ahead += store->ahead;
	out->merged_calls += store->merged;
	out->retries += store->retries;
	out->reconnects += store->reconnects;
	out->timeouts += store->timeouts;
	out->wait_ns_total += store->wait_ns;
	out->wait_count += store->waits;
}

static void postgres_stats(struct store *base, struct store_stats *out)
{
	struct postgres_store *store = pg_store_of(base);

	*out = (struct store_stats){0};
	add_stats(store, out);
	if (store->split != NULL) {
		add_stats(store->split->readers, out);
		split_stats(store->split, out);
	}
	out->batch_max = store->batch_max;
	out->connect_failures = store->connect_failures;
	out->seals = seal_count(store->settings.seal);
	out->opens = seal_opened(store->settings.seal);
	out->loop_bytes_max = store->iteration_bytes_max;
	out->key_seals = seal_count_total(store->settings.seal);
	out->timeline = store->newest.timeline;
	out->went_back = store->went_back;
	memcpy(out->gone_back, store->gone_back, sizeof out->gone_back);
	memcpy(out->last_error, store->last_error, sizeof out->last_error);
	out->last_error_at = store->last_error_at;
}

static void postgres_version(struct store *base, struct store_version *out)
{
	struct postgres_store *store = pg_store_of(base);

	out->backend = "postgresql";
	(void)snprintf(out->engine, sizeof out->engine, "%d.%d", store->server_version / 10000,
		store->server_version % 10000);
	out->schema = store->schema;
}

static void postgres_ping(struct store *base, struct call *probe)
{
	struct postgres_store *store = pg_store_of(base);

	list_init(&probe->link);
	probe->order = NULL;
	probe->attempts = 0;
	probe->route = ROUTE_ALONE;
	probe->err.kind = ERR_NONE;
	placing_place(store, probe);
}

static enum store_health postgres_health(struct store *base, char detail[ERR_MESSAGE_MAX])
{
	struct postgres_store *store = pg_store_of(base);

	detail[0] = '\0';
	if (store->gone_back[0] != '\0') {
		(void)snprintf(detail, ERR_MESSAGE_MAX, "%s", store->gone_back);
		return outage_connected(store) ? STORE_DEGRADED : STORE_DOWN;
	}
	if (outage_connected(store) && store->failures == 0)
		return STORE_OK;
	outage_cause(store, detail);
	return outage_connected(store) ? STORE_DEGRADED : STORE_DOWN;
}

/* sent: the server has the calls, and may store them before it detects the closed connection. */
static void end_call(struct call *call, bool sent)
{
	bool unknown = sent && call_writes(call);

	if (call->method != NULL)
		execute_fail(
			call, ERR_SHUTTING_DOWN, "the daemon stopped before the call finished");
	else
		err_set(&call->err, ERR_SHUTTING_DOWN, "the daemon is stopping");
	call->err.outcome = unknown ? OUTCOME_UNKNOWN : OUTCOME_NONE;
	pg_store_finish(call);
}

static void end_all(struct list *calls, bool sent)
{
	while (!list_empty(calls)) {
		struct call *call = call_of(list_first(calls));

		list_remove(&call->link);
		end_call(call, sent);
	}
}

static void end_batches(struct postgres_store *store, struct pg_connection *connection)
{
	for (unsigned i = 0; i < connection->in_flight; i++) {
		struct pg_batch *batch = pg_connection_batch(connection, i);

		encoder_drop(store, batch);
		end_all(&batch->calls, !batch->open);
	}
}

/* Ends the calls of one store; stops its thread. */
static void end_store(struct postgres_store *store)
{
	jobs_cancel_all(store);
	encoder_stop(store);
	for (unsigned i = 0; i < store->connection_limit; i++) {
		end_batches(store, &store->connections[i]);
		end_all(&store->connections[i].waiting, false);
	}
	end_all(&store->waiting, false);
}

static void end_held(struct call *call)
{
	end_call(call, false);
}

static void postgres_close(struct store *base, uint64_t deadline)
{
	struct postgres_store *store = pg_store_of(base);
	struct postgres_store *readers = store->split != NULL ? store->split->readers : NULL;

	store->closing = true;
	call_deliver(&store->completed);
	if (readers != NULL) {
		readers->closing = true;
		end_store(readers);
		split_end(store->split, end_held);
	}
	end_store(store);
	if (readers != NULL)
		jobs_settle(readers, deadline);
	jobs_settle(store, deadline);
	jobs_give_up(store);
	pg_store_free(store);
}

static unsigned postgres_servers(struct store *base, struct store_server out[STORE_SERVERS_MAX])
{
	const struct postgres_store *store = pg_store_of(base);

	return store->split != NULL ? servers_show(store->split, out) : 0;
}

static void postgres_read_after(struct store *base, uint64_t log)
{
	struct postgres_store *store = pg_store_of(base);

	if (store->split != NULL && store->split->floor < log)
		store->split->floor = log;
}

static const struct store_ops postgres_ops = {
	.name = "postgresql",
	.submit = postgres_submit,
	.flush = flush,
	.fd = postgres_fd,
	.process = process,
	.tick = postgres_tick,
	.next_due = postgres_next_due,
	.stats = postgres_stats,
	.version = postgres_version,
	.servers = postgres_servers,
	.read_after = postgres_read_after,
	.ping = postgres_ping,
	.memory = postgres_memory,
	.pause = postgres_pause,
	.health = postgres_health,
	.close = postgres_close,
};

/* Opens the first connection; waits for an unreachable server only as long as configured. */
static PGconn *first_connection(struct postgres_store *store, struct err *err)
{
	uint64_t until = clock_ns() + store->settings.wait_for_database_ms * 1000000;
	struct failure_log failure_log = {.failures = 0};
	char error[ERR_MESSAGE_MAX];

	for (;;) {
		PGconn *pq = connect_postgres(&(struct target){.url = store->url},
			store->settings.connect_timeout_ms, error);

		if (pq != NULL)
			return pq;
		if (clock_ns() >= until) {
			err_exit(err, EX_UNAVAILABLE, "the database cannot be reached: %.250s",
				error);
			return NULL;
		}
		if (failure_log_note(&failure_log, error, clock_ns()))
			store->settings.log(5, "waiting for the database: %s", error);
		if (store->settings.progress != NULL)
			store->settings.progress("waiting for the database");
		nanosleep(&(struct timespec){.tv_nsec = 250000000}, NULL);
	}
}

static int postgres_follow_format(struct postgres_store *store, PGconn *pq, struct err *err)
{
	enum binding_format format;

	seal_log_warn(&store->settings, 0, seal_count_total(store->settings.seal));
	if (format_read(pq, &format, err) < 0)
		return -1;
	seal_set_format(store->settings.seal, format, true);
	return 0;
}

static int postgres_bring_up(struct postgres_store *store, struct err *err)
{
	PGconn *pq = first_connection(store, err);

	if (pq == NULL)
		return -1;
	store->server_version = PQserverVersion(pq);
	if (store->server_version < 130000) {
		err_exit(err, EX_UNAVAILABLE,
			"the server is PostgreSQL %d; 13 is the oldest that is supported",
			store->server_version / 10000);
		goto fail;
	}
	store->pooled = !connect_is_direct(pq);
	/* The operator's consent to whatever primary there is. */
	if (!guard_ask(pq, store->settings.connect_timeout_ms, &store->newest)) {
		err_exit(err, EX_UNAVAILABLE, "the database server did not tell its timeline");
		goto fail;
	}
	store->first_host = hosts_find(store->url, pq);
	if (!store->pooled && !connect_in_use(pq)) {
		err_exit(err, EX_TEMPFAIL,
			"a transfer is copying this database's rows: start the daemon when it has "
			"ended");
		goto fail;
	}
	if ((store->pooled && connect_check_pooler(pq, err) < 0) ||
		connect_settings(pq, &store->session_settings, err) < 0 ||
		migrate_check_schema(pq, !store->settings.migrate, err) < 0 ||
		(store->settings.migrate &&
			migrate_postgres(pq, NULL, store->settings.progress, err) < 0) ||
		(store->settings.seal != NULL && keys_prove_key(pq, store->settings.seal, err) < 0))
		goto fail;
	if (store->settings.seal != NULL && postgres_follow_format(store, pq, err) < 0)
		goto fail;
	store->named = store->settings.prepared_statements && !store->pooled;
	if (store->settings.prepared_statements && !store->named)
		store->settings.log(5,
			"a pooler is in front of the database: "
			"statements are not prepared by name");
	store->schema = migrate_schema(pq, err);
	if (store->schema < 0)
		goto fail;
	pg_connection_enter(&store->connections[0], PG_CONNECTION_CONNECTING);
	pg_connection_adopt(store, &store->connections[0], pq, &store->newest);
	store->newest.standby = false;
	pool_connect_more(store);
	pg_rollup_init(store);
	return 0;
fail:
	PQfinish(pq);
	return -1;
}

static int postgres_open(struct store **ret, const struct store_settings *settings, struct err *err)
{
	struct postgres_store *store = pg_store_new(&postgres_ops, settings);

	if (store == NULL)
		return err_exit(err, EX_OSERR, "out of memory or descriptors");
	if (postgres_bring_up(store, err) < 0) {
		pg_store_free(store);
		return -1;
	}
	if (settings->read_from != READ_FROM_PRIMARY &&
		(store->split = split_new(store, err)) == NULL) {
		pg_store_free(store);
		return -1;
	}
	*ret = &store->store;
	return 0;
}

static bool begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool postgres_takes_url(const char *url)
{
	return begins(url, "postgresql://") || begins(url, "postgres://");
}

const struct backend postgres_backend = {
	.id = BACKEND_POSTGRES,
	.name = "postgresql",
	.takes_url = postgres_takes_url,
	.check_url = connect_check_url,
	.open = postgres_open,
	.verify = verify_postgres,
};
