/* The PostgreSQL store, inside: what its files share. Everything runs on the loop's thread and
 * never blocks; what libpq can only do blocking (connecting, cancelling, migrating) runs in
 * short-lived threads (jobs.c) that hand their result back through an eventfd. */
#ifndef PIERRE_PG_STORE_H
#define PIERRE_PG_STORE_H

#include <libpq-fe.h>

#include "../failure_log.h"
#include "../secrets/rotation.h"
#include "../store.h"
#include "encoder.h"
#include "jobs.h"
#include "pg_connection.h"

enum { PG_CONNECTIONS_MAX = 128, TRIES_MAX = 4 };

struct postgres_store {
	struct store store; /* first: what the daemon sees */
	struct store_settings settings;
	char *url;
	int epoll; /* the store's one descriptor; holds the sockets and the mailbox's eventfd */
	struct mailbox *mailbox;
	struct pg_connection connections[PG_CONNECTIONS_MAX];
	unsigned connection_limit; /* most connections */
	uint16_t *alike;           /* by method->index: send.c's count */
	struct buffer keys;        /* send.c's array of keys */
	struct arena sending;      /* send.c: parameters in the form that libpq takes, until it has
	                              copied them */
	uint64_t merge_from;       /* no statements for many before: one has failed */
	struct pg_connection *locker; /* where calls that change rows went last */
	uint64_t gathered;            /* batches made */
	uint64_t arrivals;            /* calls placed */
	uint64_t careful_until; /* batches lock no more than one row before: the server has ended a
	                           deadlock */
	struct list waiting;    /* calls without a connection */
	struct list completed;  /* answered in submit: done() comes with flush */
	unsigned waiting_count;
	unsigned connecting, failures; /* connects under way; failed ones in a row */
	unsigned cancelling;           /* cancels under way */
	struct list migrating;         /* jobs of the methods `migrate` and `rotate_key` */
	struct rotation rotation;      /* the job's, while one is at it */
	bool rotating;
	bool counting;       /* a job writes down how much the key has sealed */
	uint64_t count_at;   /* no writing down of sealings before: the last try failed */
	uint64_t retry_at;   /* no connect before */
	unsigned unserved;   /* times in a row that a pooler had no server */
	uint64_t hold_until; /* calls that lost their connection wait so long: the others may be
	                        about to go, too */
	struct encoder encoder;
	unsigned encoding;                           /* calls that are with it */
	size_t iteration_bytes, iteration_bytes_max; /* of results that became answers on the loop,
	                                      in this turn and in the longest one */
	bool closing;
	int64_t schema;
	int server_version;
	bool pooled; /* sessions are shared with others: each batch brings its settings */
	char *session_settings; /* the statement that does */
	bool named; /* statements are prepared by name; else each call brings its text */
	char last_error[ERR_MESSAGE_MAX];
	int64_t last_error_at;
	struct failure_log failure_log; /* with connections, since all was well */
	uint64_t transactions, batched, batch_max, merged, retries, reconnects, connect_failures,
		timeouts, waits, wait_ns;
};

static inline struct postgres_store *pg_store_of(struct store *store)
{
	return (struct postgres_store *)(void *)store;
}

/* A call has ended. All unfinished calls of its client connection count as reads. */
static inline void pg_store_finish(struct call *call)
{
	if (call->order != NULL) {
		call->order->reads--; /* before done, which may end the connection */
		if (call->method == NULL || !call->method->write)
			call->order->large = call->answer.length > LARGE_ANSWER;
	}
	call->done(call);
}

/* NULL: out of memory, or of descriptors. */
struct postgres_store *pg_store_new(
	const struct store_ops *ops, const struct store_settings *settings);
void pg_store_free(struct postgres_store *store);

#endif
