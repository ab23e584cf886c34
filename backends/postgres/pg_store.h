/* Internals of the PostgreSQL store, shared by its files. Everything runs on the loop thread and
 * never blocks. What libpq can only do blocking (connecting, cancelling, migrating) runs in
 * short-lived threads (jobs.c), which report through an eventfd. */
#ifndef PIERRE_PG_STORE_H
#define PIERRE_PG_STORE_H

#include <libpq-fe.h>

#include "../failure_log.h"
#include "../secrets/rotation.h"
#include "../store.h"
#include "cluster/guard.h"
#include "encoder.h"
#include "idempotency/pg_replay.h"
#include "blocking/jobs.h"
#include "pg_connection.h"
#include "standby/split.h"
#include "upkeep/pg_rollup.h"

enum { TRIES_MAX = 4, TRANSACTION_TRIES_MAX = 100 };
/* Marks of the store's epoll descriptor, beside the connections' numbers. */
enum { PG_EVENT_MAILBOX = 0, PG_EVENT_READERS = PG_CONNECTIONS_MAX + 1, PG_EVENT_SAMPLER };

struct postgres_store {
	struct store store; /* first member: the daemon's view */
	struct store_settings settings;
	char *url;
	int epoll; /* the store's only descriptor: epoll over the sockets and the mailbox's eventfd
	            */
	struct mailbox *mailbox;
	struct pg_connection connections[PG_CONNECTIONS_MAX];
	unsigned connection_limit;    /* max connections */
	uint16_t *alike;              /* by method->index: counted in sending/send.c */
	char **once_texts;            /* the same: statements of idempotency/pg_once.c */
	struct buffer keys;           /* arrays of sending/parameters.c */
	struct arena sending;         /* parameters in libpq's form, until it has copied them */
	uint64_t merge_from;          /* no shared statements before this time: one has failed */
	struct pg_connection *locker; /* connection of the latest calls that change rows */
	uint64_t gathered;            /* count of batches sent */
	uint64_t arrivals;            /* count of calls assigned */
	uint64_t careful_until; /* until then a batch locks at most one row: the server resolved a
	                           deadlock */
	struct list waiting;    /* calls without a connection */
	struct list completed;  /* answered in submit; done() runs in flush */
	unsigned waiting_count;
	unsigned connecting, failures; /* connects in progress; failed ones in a row */
	unsigned cancelling;           /* cancels in progress */
	struct list migrating;         /* jobs of the methods `migrate` and `rotate_key` */
	struct rotation rotation;      /* the job's while it runs */
	bool rotating;
	bool counting;                   /* a job stores the count of sealed texts */
	uint64_t count_at;               /* earliest time to store that count, after a failure */
	uint64_t retry_at;               /* earliest time to connect */
	struct lineage newest;           /* the newest primary seen by this process */
	char gone_back[ERR_MESSAGE_MAX]; /* why the primary at hand may not be used; "": it may */
	unsigned host_count;             /* of the URL */
	unsigned first_host;             /* the one that was a primary last */
	bool scouting;       /* a connect without a place, which looks for a newer primary */
	uint64_t scout_at;   /* earliest time for the next one */
	uint64_t forget_at;  /* earliest time to remove old idempotency keys */
	unsigned unserved;   /* consecutive times that a pooler had no server */
	uint64_t hold_until; /* delay of calls that lost their connection: others may be about to
	                        break as well */
	struct encoder encoder;
	size_t answer_room;   /* memory that clients may still take */
	uint64_t large_began; /* when a read whose answer may be large last began */
	bool no_room;         /* such a read waits for memory */
	unsigned encoding;    /* calls that are with it */
	unsigned encoded;     /* transactions whose last result it has finished */
	size_t iteration_bytes, iteration_bytes_max; /* bytes of results encoded on the loop, in
	                                                this iteration and the largest one */
	struct pg_rollup rollup;
	struct split *split; /* reads from standbys; NULL: there are none */
	bool reads_only;     /* its connections lead to standbys: see standby/split.h */
	bool closing;
	int64_t schema;
	int server_version;
	bool pooled; /* sessions are shared with others: each batch sets its own settings */
	char *session_settings; /* the statement for this */
	bool named; /* statements are prepared by name; otherwise each call sends its text */
	char last_error[ERR_MESSAGE_MAX];
	int64_t last_error_at;
	struct failure_log failure_log; /* connections were open and no failure since */
	uint64_t transactions, batched, batch_max, ahead, merged, retries, reconnects,
		connect_failures, timeouts, waits, wait_ns, went_back;
};

static inline struct postgres_store *pg_store_of(struct store *store)
{
	return (struct postgres_store *)(void *)store;
}

/* Whether a newer primary is known than the one that it leads to: what is stored there is lost. */
static inline bool pg_store_outdated(
	const struct postgres_store *store, const struct pg_connection *connection)
{
	return connection->timeline != 0 && connection->timeline < store->newest.timeline;
}

/* Ends a call. All unfinished calls of its client connection count as reads. */
static inline void pg_store_finish(struct call *call)
{
	if (call->order != NULL) {
		call->order->reads--; /* before done, which may free the connection */
		if (call->method == NULL || !call->method->write)
			call->order->large = call->answer.length > STORE_LARGE_ANSWER;
		if (call->method != NULL && !call->method->write && !call->method->short_read)
			call->order->small_list = !call->order->large;
	}
	if (call->idempotency != NULL)
		pg_replay_doubt(call);
	if (call->order != NULL && call->order->history != NULL)
		history_answered(call);
	call->done(call);
}

/* NULL: out of memory or descriptors. */
struct postgres_store *pg_store_new(
	const struct store_ops *ops, const struct store_settings *settings);
void pg_store_free(struct postgres_store *store);

#endif
