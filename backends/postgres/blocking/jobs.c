#include "jobs.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "../../../protocol/json/json_add.h"
#include "../../../protocol/value.h"
#include "../../execute.h"
#include "../../migration.h"
#include "../../secrets/seal_log.h"
#include "connect.h"
#include "keys.h"
#include "migrate.h"
#include "../outage.h"
#include "../pg_store.h"

enum job_kind { JOB_CONNECT, JOB_CANCEL, JOB_MIGRATE, JOB_ROTATE, JOB_COUNT };

/* How long one call of rotate_key runs: many short transactions on one connection. */
static const uint64_t rotate_ns = UINT64_C(200000000), count_pause_ns = UINT64_C(1000000000),
		      settle_ns = UINT64_C(1000000000);

struct pg_job {
	struct list link;
	enum job_kind kind;
	struct mailbox *mailbox;
	char *url;
	uint64_t timeout_ms;
	struct target target;      /* the host to try first */
	struct lineage lineage;    /* JOB_CONNECT: the server's; others: the newest primary seen */
	unsigned connection;       /* JOB_CONNECT, JOB_CANCEL; 0: none */
	uint64_t born;             /* JOB_CANCEL: the connection's */
	jobs_connected *connected; /* JOB_CONNECT: receives pq, or the error */
	PGconn *pq;
	PGcancel *cancel;      /* JOB_CANCEL; JOB_MIGRATE, JOB_ROTATE: the connection's, under the
	                          mailbox's lock */
	struct call *call;     /* JOB_MIGRATE, JOB_ROTATE: returned untouched */
	struct list migrating; /* the same: in the store's list until collected */
	int socket;            /* the same: the connection's, under the mailbox's lock; -1: none */
	struct buffer applied;
	int64_t schema;
	struct seal *seal;              /* JOB_ROTATE, JOB_COUNT: held */
	struct store_settings settings; /* JOB_ROTATE: for the log */
	struct rotation rotation;
	bool bind; /* JOB_ROTATE: begins to bind the tokens */
	uint64_t added, stored;
	struct err err;
	char error[ERR_MESSAGE_MAX];
};

struct mailbox *jobs_mailbox_new(void)
{
	struct mailbox *mailbox = calloc(1, sizeof *mailbox);

	if (mailbox == NULL)
		return NULL;
	pthread_mutex_init(&mailbox->lock, NULL);
	list_init(&mailbox->done);
	mailbox->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	mailbox->holders = 1;
	return mailbox;
}

static void jobs_job_free(struct pg_job *job)
{
	PQfinish(job->pq);
	PQfreeCancel(job->cancel);
	seal_free(job->seal);
	buffer_free(&job->applied);
	if (job->url != NULL)
		explicit_bzero(job->url, strlen(job->url));
	free(job->url);
	free(job);
}

void jobs_mailbox_release(struct mailbox *mailbox, bool by_store)
{
	unsigned left;
	struct list done;

	list_init(&done);
	pthread_mutex_lock(&mailbox->lock);
	if (by_store) {
		close(mailbox->wake);
		mailbox->wake = -1;
		list_splice(&done, &mailbox->done);
	}
	left = --mailbox->holders;
	pthread_mutex_unlock(&mailbox->lock);
	list_for_each_safe (node, &done)
		jobs_job_free(list_entry(node, struct pg_job, link));
	if (left == 0) {
		pthread_mutex_destroy(&mailbox->lock);
		free(mailbox);
	}
}

static void jobs_deliver(struct pg_job *job)
{
	struct mailbox *mailbox = job->mailbox;
	bool open;

	pthread_mutex_lock(&mailbox->lock);
	open = mailbox->wake >= 0;
	if (open) {
		list_append(&mailbox->done, &job->link);
		(void)eventfd_write(mailbox->wake, 1);
	}
	pthread_mutex_unlock(&mailbox->lock);
	if (!open)
		jobs_job_free(job);
	jobs_mailbox_release(mailbox, false);
}

/* Lets the loop thread interrupt what this thread waits for. pq NULL: no longer. */
static void tell_connection(struct pg_job *job, PGconn *pq)
{
	PGcancel *cancel = pq != NULL ? PQgetCancel(pq) : NULL;

	pthread_mutex_lock(&job->mailbox->lock);
	PQfreeCancel(job->cancel);
	job->cancel = cancel;
	job->socket = pq != NULL ? PQsocket(pq) : -1;
	pthread_mutex_unlock(&job->mailbox->lock);
}

/* A standby's session: the snapshot of a read must be newer than that of the statement before
 * it. */
static const char snapshots_sql[] = "SET default_transaction_isolation TO 'read committed'";

/* Connects and asks whose history the server continues. */
static PGconn *connect_and_ask(struct pg_job *job, struct lineage *lineage)
{
	PGconn *pq;

	job->target.url = job->url;
	pq = connect_postgres(&job->target, job->timeout_ms, job->error);
	if (pq != NULL && job->target.only && connect_is_direct(pq))
		PQclear(connect_ask_within(pq, snapshots_sql, job->timeout_ms));
	if (pq == NULL || guard_ask(pq, job->timeout_ms, lineage))
		return pq;
	(void)snprintf(job->error, sizeof job->error, "the server did not tell its timeline");
	PQfinish(pq);
	return NULL;
}

/* To a server that may be written to; NULL: err is set. */
static PGconn *connect_to_write(struct pg_job *job)
{
	struct lineage lineage;
	PGconn *pq = connect_and_ask(job, &lineage);

	if (pq == NULL) {
		err_set(&job->err, ERR_UNAVAILABLE, "no connection to the database: %s",
			job->error);
	} else if (!guard_follows(&job->lineage, &lineage, job->error)) {
		err_set(&job->err, ERR_STORAGE, "%s", job->error);
		PQfinish(pq);
		pq = NULL;
	}
	return pq;
}

static void migrate_now(struct pg_job *job)
{
	PGconn *pq = connect_to_write(job);

	job->schema = -1;
	if (pq == NULL)
		return;
	tell_connection(job, pq);
	json_add_array(&job->applied, NULL);
	if (migrate_postgres(pq, &job->applied, NULL, &job->err) == 0)
		job->schema = migrate_schema(pq, &job->err);
	json_add_end(&job->applied, ']');
	tell_connection(job, NULL);
	PQfinish(pq);
}

static bool given_up(struct pg_job *job)
{
	bool closed;

	pthread_mutex_lock(&job->mailbox->lock);
	closed = job->mailbox->wake < 0;
	pthread_mutex_unlock(&job->mailbox->lock);
	return closed;
}

static void rotate_now(struct pg_job *job)
{
	PGconn *pq = connect_to_write(job);
	uint64_t until = clock_ns() + rotate_ns, resealed = 0, sessions = 0;

	if (pq == NULL)
		return;
	tell_connection(job, pq);
	if (job->bind)
		(void)keys_bind(pq, &job->rotation, &job->err);
	while (job->err.kind == ERR_NONE &&
		keys_postgres_rotate(&job->settings, pq, &job->rotation, &job->err) == 0) {
		resealed += job->rotation.resealed;
		sessions += job->rotation.sessions;
		if (job->rotation.state != ROTATION_RUNNING || clock_ns() >= until || given_up(job))
			break;
	}
	job->rotation.resealed = resealed;
	job->rotation.sessions = sessions;
	tell_connection(job, NULL);
	PQfinish(pq);
}

static void count_now(struct pg_job *job)
{
	PGconn *pq = connect_to_write(job);

	if (pq == NULL || keys_count_seals(pq, job->seal, job->added, &job->stored, NULL) < 0)
		job->added = 0;
	PQfinish(pq);
}

static void *jobs_run(void *argument)
{
	struct pg_job *job = argument;
	char error[256];

	switch (job->kind) {
	case JOB_CONNECT:
		job->pq = connect_and_ask(job, &job->lineage);
		break;
	case JOB_CANCEL:
		(void)PQcancel(job->cancel, error, sizeof error);
		break;
	case JOB_MIGRATE:
		migrate_now(job);
		break;
	case JOB_ROTATE:
		rotate_now(job);
		break;
	case JOB_COUNT:
		count_now(job);
		break;
	}
	jobs_deliver(job);
	return NULL;
}

/* Starts the thread; frees the job if it cannot start. */
static bool jobs_start(struct postgres_store *store, struct pg_job *job)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error;

	list_init(&job->link);
	list_init(&job->migrating);
	job->socket = -1;
	job->mailbox = store->mailbox;
	pthread_mutex_lock(&job->mailbox->lock);
	job->mailbox->holders++;
	pthread_mutex_unlock(&job->mailbox->lock);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&thread, &attributes, jobs_run, job);
	pthread_attr_destroy(&attributes);
	if (error == 0)
		return true;
	outage_note(store, strerror(error));
	jobs_mailbox_release(job->mailbox, false);
	jobs_job_free(job);
	return false;
}

static struct pg_job *new_job_for(
	struct postgres_store *store, enum job_kind kind, const struct target *target)
{
	struct pg_job *job = calloc(1, sizeof *job);

	if (job == NULL)
		return NULL;
	job->kind = kind;
	job->timeout_ms = store->settings.connect_timeout_ms;
	job->target = *target;
	job->lineage = store->newest;
	if (kind != JOB_CANCEL && (job->url = strdup(target->url)) == NULL) {
		free(job);
		return NULL;
	}
	return job;
}

/* To the last primary first. */
static struct pg_job *new_job(struct postgres_store *store, enum job_kind kind)
{
	return new_job_for(
		store, kind, &(struct target){.url = store->url, .first = store->first_host});
}

bool jobs_connect(struct postgres_store *store, struct pg_connection *connection,
	const struct target *target, jobs_connected *connected)
{
	struct pg_job *job = new_job_for(store, JOB_CONNECT, target);

	if (job == NULL)
		return false;
	job->connection = connection != NULL ? connection->number : 0;
	job->connected = connected;
	return jobs_start(store, job);
}

void jobs_cancel(struct postgres_store *store, struct pg_connection *connection)
{
	/* PQcancel has no time-out. If the network drops its packets, the connection is closed
	 * soon, and no further threads start. */
	struct pg_job *job =
		store->cancelling < store->connection_limit ? new_job(store, JOB_CANCEL) : NULL;

	if (job == NULL)
		return;
	job->cancel = PQgetCancel(connection->pq);
	if (job->cancel == NULL) {
		jobs_job_free(job);
		return;
	}
	job->connection = connection->number;
	job->born = connection->born;
	if (!jobs_start(store, job))
		return;
	store->cancelling++;
	connection->cancelling = clock_ns();
}

/* The connection may send again, unless it is another one by now. */
static void cancel_ended(struct postgres_store *store, const struct pg_job *job)
{
	store->cancelling--;
	if (job->connection != 0 && store->connections[job->connection - 1].born == job->born)
		store->connections[job->connection - 1].cancelling = 0;
}

/* A server that waits for a lock does not notice that its client has disconnected, so a running job
 * is cancelled there, once. */
static void cancel_job(struct postgres_store *store, struct pg_job *under_way)
{
	struct pg_job *job = new_job(store, JOB_CANCEL);

	if (job == NULL)
		return;
	pthread_mutex_lock(&store->mailbox->lock);
	job->cancel = under_way->cancel;
	under_way->cancel = NULL;
	pthread_mutex_unlock(&store->mailbox->lock);
	if (job->cancel == NULL)
		jobs_job_free(job);
	else if (jobs_start(store, job))
		store->cancelling++;
}

void jobs_cancel_all(struct postgres_store *store)
{
	for (unsigned i = 0; i < store->connection_limit; i++)
		if (store->connections[i].state == PG_CONNECTION_BUSY &&
			store->connections[i].front->cancelled_at == 0)
			jobs_cancel(store, &store->connections[i]);
	list_for_each (node, &store->migrating)
		cancel_job(store, list_entry(node, struct pg_job, migrating));
}

bool jobs_migrate(struct postgres_store *store, struct call *call)
{
	struct pg_job *job = new_job(store, JOB_MIGRATE);

	if (job == NULL)
		return false;
	job->call = call;
	if (!jobs_start(store, job))
		return false;
	list_append(&store->migrating, &job->migrating);
	return true;
}

bool jobs_rotate(struct postgres_store *store, struct call *call)
{
	struct pg_job *job = new_job(store, JOB_ROTATE);

	if (job == NULL)
		return false;
	job->call = call;
	job->seal = seal_hold(store->settings.seal);
	job->rotation = store->rotation;
	job->settings = store->settings;
	job->bind = call->values[0].i != 0;
	if (!jobs_start(store, job))
		return false;
	list_append(&store->migrating, &job->migrating);
	store->rotating = true;
	return true;
}

void jobs_count_seals(struct postgres_store *store)
{
	struct pg_job *job;
	uint64_t added;

	if (store->count_at != 0 && store->count_at > clock_ns())
		return;
	added = seal_count_wanted(store->settings.seal);
	if (added == 0)
		return;
	store->count_at = clock_ns() + count_pause_ns;
	job = new_job(store, JOB_COUNT);
	if (job != NULL) {
		job->seal = seal_hold(store->settings.seal);
		job->added = added;
	}
	store->counting = job != NULL && jobs_start(store, job);
	if (!store->counting)
		seal_count_failed(store->settings.seal);
}

/* Without this, a daemon that restarts soon after its first sealed texts would never count them.
 * Its abandoned statements would also continue. */
void jobs_settle(struct postgres_store *store, uint64_t deadline)
{
	uint64_t until = clock_ns() + settle_ns;

	if (deadline != 0 && deadline < until)
		until = deadline;

	while ((store->counting || store->cancelling > 0) && clock_ns() < until) {
		struct pollfd poller = {.fd = store->mailbox->wake, .events = POLLIN};

		(void)poll(&poller, 1, 50);
		jobs_collect(store);
	}
}

/* libpq's thread waits for the server without a time limit. When the call's time runs out, shutting
 * down the socket ends the wait. */
void jobs_expire(struct postgres_store *store, uint64_t now)
{
	list_for_each (node, &store->migrating) {
		struct pg_job *job = list_entry(node, struct pg_job, migrating);

		if (job->call->deadline == 0 || job->call->deadline > now)
			continue;
		cancel_job(store, job);
		pthread_mutex_lock(&store->mailbox->lock);
		if (job->socket >= 0)
			(void)shutdown(job->socket, SHUT_RDWR);
		pthread_mutex_unlock(&store->mailbox->lock);
	}
}

/* The thread knows its call only by pointer; nothing of the call is touched after this. */
void jobs_give_up(struct postgres_store *store)
{
	while (!list_empty(&store->migrating)) {
		struct pg_job *job =
			list_entry(list_first(&store->migrating), struct pg_job, migrating);
		struct call *call = job->call;

		list_remove(&job->migrating);
		execute_fail(
			call, ERR_SHUTTING_DOWN, "the daemon stopped before the call finished");
		call->err.outcome = OUTCOME_UNKNOWN;
		pg_store_finish(call);
	}
}

static void migrated(struct postgres_store *store, struct pg_job *job)
{
	struct call *call = job->call;

	list_remove(&job->migrating);
	if (job->schema < 0 && call->deadline != 0 && call->deadline <= clock_ns()) {
		execute_fail(
			call, ERR_TIMEOUT, "the call's time ran out: %.250s", job->err.message);
		call->err.outcome = OUTCOME_UNKNOWN;
	} else if (job->schema < 0) {
		execute_fail(call,
			job->err.kind == ERR_STORAGE || job->err.exit_code == EX_DATAERR ||
					job->err.exit_code == EX_CONFIG
				? ERR_STORAGE
				: ERR_UNAVAILABLE,
			"%s", job->err.message);
	} else {
		store->schema = job->schema;
		migration_describe(&call->answer, job->schema, &job->applied);
	}
	pg_store_finish(call);
}

static void rotated(struct postgres_store *store, struct pg_job *job)
{
	struct call *call = job->call;

	list_remove(&job->migrating);
	store->rotating = false;
	store->rotation = job->rotation;
	if (job->err.kind == ERR_NONE) {
		rotation_tell(&job->rotation, &store->settings);
		rotation_describe(&job->rotation, store->settings.seal, &call->answer);
		call->rows = (uint32_t)job->rotation.resealed;
	} else if (call->deadline != 0 && call->deadline <= clock_ns()) {
		execute_fail(
			call, ERR_TIMEOUT, "the call's time ran out: %.250s", job->err.message);
		call->err.outcome = OUTCOME_UNKNOWN;
	} else {
		execute_fail(call, job->err.kind, "%s", job->err.message);
	}
	pg_store_finish(call);
}

static void counted(struct postgres_store *store, struct pg_job *job)
{
	store->counting = false;
	if (job->added > 0)
		store->count_at = 0;
	seal_log_counted(&store->settings, job->added, job->stored, job->added > 0);
}

void jobs_collect(struct postgres_store *store)
{
	struct list done;
	eventfd_t count;

	list_init(&done);
	(void)eventfd_read(store->mailbox->wake, &count);
	pthread_mutex_lock(&store->mailbox->lock);
	list_splice(&done, &store->mailbox->done);
	pthread_mutex_unlock(&store->mailbox->lock);
	list_for_each_safe (node, &done) {
		struct pg_job *job = list_entry(node, struct pg_job, link);

		list_remove(node);
		if (job->kind == JOB_CONNECT) {
			PGconn *pq = job->pq;

			job->pq = NULL;
			job->connected(store,
				job->connection != 0 ? &store->connections[job->connection - 1]
						     : NULL,
				pq, &job->lineage, job->error);
		} else if (job->kind == JOB_MIGRATE) {
			migrated(store, job);
		} else if (job->kind == JOB_ROTATE) {
			rotated(store, job);
		} else if (job->kind == JOB_COUNT) {
			counted(store, job);
		} else {
			cancel_ended(store, job);
		}
		jobs_job_free(job);
	}
}
