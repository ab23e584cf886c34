/* What libpq can only do blocking, each in a thread of its own. The threads know the mailbox alone,
 * which outlives the store while one of them is still at work. Functions: the loop's thread. */
#ifndef PIERRE_PG_JOBS_H
#define PIERRE_PG_JOBS_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>

#include "../call.h"

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

/* How connecting ended: pq is the callee's; NULL: `error` says why. */
typedef void jobs_connected(struct postgres_store *store, struct pg_connection *connection,
	PGconn *pq, const char *error);

bool jobs_connect(
	struct postgres_store *store, struct pg_connection *connection, jobs_connected *connected);
void jobs_cancel(struct postgres_store *store, struct pg_connection *connection);
/* All that is under way on the server. */
void jobs_cancel_all(struct postgres_store *store);
bool jobs_migrate(struct postgres_store *store, struct call *call);
bool jobs_rotate(struct postgres_store *store, struct call *call);
/* Stores how much the key has sealed, when that is due. */
void jobs_count_seals(struct postgres_store *store);
/* Ends those whose call's time is over. */
void jobs_expire(struct postgres_store *store, uint64_t now);
/* Takes what the threads have done since. */
void jobs_collect(struct postgres_store *store);
/* At the end: waits a moment for the count of seals to be stored. */
void jobs_settle(struct postgres_store *store, uint64_t deadline);
/* At the end: answers the calls of jobs that go on. */
void jobs_give_up(struct postgres_store *store);

#endif
