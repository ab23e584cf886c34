/* Operations for which libpq has only a blocking form, each in its own thread. The threads know
 * only the mailbox, which outlives the store while one of them still runs. Functions: loop
 * thread. */
#ifndef PIERRE_PG_JOBS_H
#define PIERRE_PG_JOBS_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>

#include "../../call.h"
#include "../cluster/guard.h"
#include "../cluster/hosts.h"

struct pg_connection;
struct postgres_store;

struct mailbox {
	pthread_mutex_t lock;
	struct list done;
	int wake; /* eventfd; -1 once the store is closed */
	unsigned holders;
};

struct mailbox *jobs_mailbox_new(void);
void jobs_mailbox_release(struct mailbox *mailbox, bool by_store);

/* Outcome of connecting: the callee owns pq; NULL: `error` is set. */
typedef void jobs_connected(struct postgres_store *store, struct pg_connection *connection,
	PGconn *pq, const struct lineage *lineage, const char *error);

/* connection NULL: for none in particular. */
bool jobs_connect(struct postgres_store *store, struct pg_connection *connection,
	const struct target *target, jobs_connected *connected);
void jobs_cancel(struct postgres_store *store, struct pg_connection *connection);
/* Cancels everything that runs on the server. */
void jobs_cancel_all(struct postgres_store *store);
bool jobs_migrate(struct postgres_store *store, struct call *call);
bool jobs_rotate(struct postgres_store *store, struct call *call);
/* Stores the count of sealed texts when due. */
void jobs_count_seals(struct postgres_store *store);
/* Ends jobs whose call's time has run out. */
void jobs_expire(struct postgres_store *store, uint64_t now);
/* Collects finished jobs. */
void jobs_collect(struct postgres_store *store);
/* At shutdown: waits briefly until the count of sealed texts is stored. */
void jobs_settle(struct postgres_store *store, uint64_t deadline);
/* At shutdown: answers the calls of jobs that still run. */
void jobs_give_up(struct postgres_store *store);

#endif
