/* The PostgreSQL store, inside: what its files share. Everything runs on the loop's thread and
 * never blocks; what libpq can only do blocking (connecting, cancelling, migrating) runs in
 * short-lived threads (jobs.c) that hand their result back through an eventfd.
 *
 * A connection is one connection in pipeline mode. It has at most one batch under way: calls that
 * were sent together and end with one Sync, which is one implicit transaction and one commit. What
 * arrives meanwhile waits on the connection and makes the next batch, so that batches grow with the
 * load. Results are answered only after the Sync's own result. */
#ifndef PIERRE_POSTGRES_H
#define PIERRE_POSTGRES_H

#include <libpq-fe.h>
#include <pthread.h>

#include "../rotation.h"
#include "../store.h"
#include "../failure_log.h"

#define POSTGRES_USE_LOCK                                                                          \
	"7235434120189153125" /* advisory: shared by each session, exclusively held by a transfer  \
	                       */

enum { PG_CONNECTIONS_MAX = 128, PG_BATCH_MAX = 1024, TRIES_MAX = 4, LARGE_ANSWER = 64 << 10 };

enum pg_connection_state {
	PG_CONNECTION_EMPTY,      /* no connection */
	PG_CONNECTION_CONNECTING, /* a job is at it */
	PG_CONNECTION_READY,      /* connected, nothing under way */
	PG_CONNECTION_BUSY,       /* a batch is under way */
};

/* What the server will answer next, in order. */
enum item_kind { ITEM_SETTINGS, ITEM_PREPARE, ITEM_CALL, ITEM_SYNC };

struct item {
	uint8_t kind;
	uint16_t statement;    /* ITEM_PREPARE: its place in connection->prepared */
	uint16_t first, count; /* ITEM_CALL: of connection->merged, when it is one statement for
	                          many; count 0: for `call` alone */
	struct call *call; /* ITEM_CALL, ITEM_PREPARE; the first of many; ITEM_SETTINGS: the first
	                      of all */
};

/* What an error of the server means for the call: it stands, or the call runs again (there,
 * prepared anew, or on another connection). */
enum outcome { CALL_DONE, CALL_RETRY, CALL_REPREPARE, CALL_REPREPARE_ALL, CALL_SUSPECT, CALL_MOVE };

/* call->route of the calls that wait or run: how their batch is made. */
enum route {
	ROUTE_TOGETHER,
	ROUTE_ALONE,
	ROUTE_MERGED, /* under way, within a statement for many */
	ROUTE_KEPT,   /* its result is kept for the encoder */
};

struct pg_connection {
	unsigned number; /* 1…; 0 means none in order->connection */
	enum pg_connection_state state;
	PGconn *pq;
	int socket;          /* registered with the epoll descriptor; -1: none */
	bool want_write;     /* epoll waits for room to write, too */
	bool all_sent;       /* the batch's last byte, its Sync, has left libpq */
	bool *prepared;      /* by method->index; behind these once more, the statements for many */
	unsigned generation; /* part of the prepared statements' names: after a loss all get new
	                        ones */
	struct list waiting; /* calls for the next batches, in order */
	unsigned waiting_count;
	struct list batch; /* calls under way, in order */
	unsigned batch_count;
	unsigned locking;   /* of them: calls that change rows */
	size_t batch_bytes; /* of their parameters: libpq copies them, and keeps the memory */
	struct item *items; /* what answers are still to come */
	unsigned item_count, item_next;
	struct call **merged; /* calls of the batch that share statements, those of each in a row */
	unsigned merged_count;
	struct list kept;     /* the batch's results that the encoder gets once it has committed */
	unsigned large;       /* of the batch: calls whose connection's last answer was large */
	struct call *failed;  /* the call that ended the batch's transaction */
	enum outcome failure; /* what is to become of it */
	bool commit_failed;   /* the Sync itself failed: no call of the batch can be blamed */
	bool doomed;          /* close it when the batch is over: it cannot be trusted any more */
	size_t received;   /* bytes of one result so far, roughly; while idle: of what nobody asked
	                      for */
	bool looked_again; /* for the Sync's result, behind a commit that failed */
	bool slow_result;  /* the last read did not bring it to an end */
	bool unserved;     /* a pooler had no server for the batch: none of it was done */
	bool warned;       /* the server has warned of something in this batch */
	unsigned batch_limit;   /* most calls of the next batch; shrinks on failures, grows again */
	char close_reason[120]; /* why the server ends the connection, in its own words */
	uint64_t born, last_used, cancelled_at, sent_at;
	uint64_t due; /* the first deadline in the batch; 0: none */
};

/* Where threads put what they have done. Outlives the store while one of them is still at work. */
struct mailbox {
	pthread_mutex_t lock;
	struct list done;
	int wake; /* eventfd; -1 once the store is closed */
	unsigned holders;
};

/* The thread that makes answers of large results. */
struct encoder {
	pthread_t thread;
	bool started, stop;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list work, done;
};

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

void postgres_note_error(struct postgres_store *store, const char *text);
/* Why there is no connection for a call, for its error and for daemon.health. */
void postgres_cause(const struct postgres_store *store, char out[ERR_MESSAGE_MAX]);

/* pg_connection.c: one connection's traffic */
bool pg_connection_send(struct postgres_store *store,
	struct pg_connection
		*connection); /* makes and sends the next batch, when there is one to send */
void pg_connection_receive(struct postgres_store *store,
	struct pg_connection *connection); /* socket readable or writable */
void pg_connection_break(struct postgres_store *store, struct pg_connection *connection,
	const char *reason, bool timed_out); /* connection lost: its calls go elsewhere or fail */
void pg_connection_watch(
	struct postgres_store *store, struct pg_connection *connection, bool want_write);
void pg_connection_forget(struct postgres_store *store,
	struct pg_connection *connection); /* its prepared statements: all are prepared anew */

/* send.c: the batch's statements and what will answer them; false: libpq refused, or out of memory
 */
bool send_batch(struct postgres_store *store, struct pg_connection *connection);

/* gather.c: the next batch */
void gather_postgres(struct postgres_store *store,
	struct pg_connection *connection); /* moves its calls from `waiting` to `batch` */
void gather_undo(struct pg_connection *connection,
	struct list *calls); /* of a batch that has ended: in the order of their arrival again */

/* commute.c: which calls may change places, and the order of locks */
bool commute_conflicts(
	const struct call *a, const struct call *b); /* of one connection: their order shows */
/* Whether it changes one of these tables, or reads one that is written: else it conflicts with
 * none of the calls whose tables these are. */
bool commute_shares_tables(const struct call *call, uint32_t reads, uint32_t writes);
void commute_add_tables(const struct call *call, uint32_t *reads, uint32_t *writes);
/* The same method and keys: any third call compares equally with both. */
bool commute_alike(const struct call *a, const struct call *b);
int commute_compare(
	const struct call *a, const struct call *b); /* both lock: < 0 when `a` locks first */
enum lock commute_lock(const struct call *call);
bool commute_changes_rows(const struct call *call); /* locks rows that may be there already */

/* pg_batch.c: what becomes of a batch that has ended */
void pg_batch_end(struct postgres_store *store, struct pg_connection *connection);
void pg_batch_lost(struct postgres_store *store, struct pg_connection *connection, bool timed_out);
void pg_connection_close(struct postgres_store *store,
	struct pg_connection *connection); /* its waiting calls go back to the store */
void pool_connected(struct postgres_store *store, struct pg_connection *connection, PGconn *pq,
	const char *error);
void pg_batch_finish(struct postgres_store *store, struct call *call);

#define POSTGRES_EPOCH                                                                             \
	INT64_C(946684800000000) /* 2000-01-01, from which PostgreSQL counts, in µs since 1970 */
uint64_t result_number(const char *bytes, int count); /* as the binary format has it */

/* result.c: libpq's results to answers and errors */
int result_rows(struct postgres_store *store, struct call *call, const PGresult *result);
/* Of one statement for many: to each call its rows. Failures are the calls' own. */
void result_many(
	struct postgres_store *store, struct call **calls, unsigned count, const PGresult *result);
enum outcome result_error(struct call *call, const PGresult *result);
bool result_unserved(const PGresult *result); /* a pooler's word that it has no server */
bool result_fatal(const PGresult *result);    /* an error that ends the connection */
bool result_in_class(const PGresult *result, const char *prefix); /* of its SQLSTATE */

/* encoder.c: large results. Loop thread, but for the thread it starts. */
bool encoder_start(struct postgres_store *store);
void encoder_stop(struct postgres_store *store); /* after what it still has; its calls are done() */
/* More than the loop should encode in this turn; counts what is not. */
bool encoder_wants(struct postgres_store *store, const PGresult *result);
/* Takes the result of calls of the batch; false: out of memory, it stays the caller's. */
bool encoder_keep(struct pg_connection *connection, struct call **calls, unsigned count, bool many,
	PGresult *result);
void encoder_drop(
	struct pg_connection *connection); /* the batch has failed: its calls run again or fail */
void encoder_submit(struct postgres_store *store,
	struct pg_connection *connection); /* it has committed: those calls leave their list */
void encoder_collect(
	struct postgres_store *store); /* answers that are made: those calls are done() */

/* pool.c: which connection, connecting, timers */
bool pool_slow(const struct pg_connection *connection,
	uint64_t now); /* the server is at something long there, or does not answer at all */
struct pg_connection *pool_choose(
	struct postgres_store *store, const struct call *call, uint64_t now);
void pool_distribute(
	struct postgres_store *store); /* waiting calls to connections, batches to the wire */
void pool_connect_more(struct postgres_store *store);
void pool_unserved(
	struct postgres_store *store); /* a pooler has no server: waits before it is asked again */
void pool_timers(struct postgres_store *store);
uint64_t pool_next_due(struct postgres_store *store);
void pg_connection_adopt(
	struct postgres_store *store, struct pg_connection *connection, PGconn *pq);

/* jobs.c: threads */
struct mailbox *jobs_mailbox_new(void);
void jobs_mailbox_release(struct mailbox *mailbox, bool by_store);
bool jobs_connect(struct postgres_store *store, struct pg_connection *connection);
void jobs_cancel(struct postgres_store *store, struct pg_connection *connection);
void jobs_cancel_all(struct postgres_store *store); /* all that is under way on the server */
bool jobs_migrate(struct postgres_store *store, struct call *call);
bool jobs_rotate(struct postgres_store *store, struct call *call);
void jobs_count_seals(struct postgres_store
		*store); /* writes down how much the key has sealed, when that is due */
void jobs_settle(
	struct postgres_store *store, uint64_t deadline); /* at the end: waits a moment for that */
void jobs_give_up(
	struct postgres_store *store); /* at the end: answers the calls of jobs that go on */
void jobs_expire(
	struct postgres_store *store, uint64_t now); /* ends those whose call's time is over */
void jobs_collect(struct postgres_store *store);     /* what threads have done since */

/* connect.c: blocking, any thread */
PGconn *connect_postgres(const char *url, uint64_t timeout_ms, char error[ERR_MESSAGE_MAX]);
bool connect_unread(PGconn *pq); /* something has come that the socket does not show */
PGresult *connect_ask(PGconn *pq, const char *sql); /* the last result; NULL: no answer in time */
extern const char postgres_settings_sql[]; /* a session's own settings, for the transaction */
int connect_settings(
	PGconn *pq, char **sql, struct err *err); /* the same with their values written out */
PGresult *connect_query(PGconn *pq, const char *sql, int count,
	const char *const *values);                      /* one statement with them */
PGresult *connect_question(PGconn *pq, const char *sql); /* the same as connect_ask */
int connect_check_pooler(PGconn *pq, struct err *err);   /* one that keeps transactions whole */
bool connect_in_use(PGconn *pq); /* its session keeps a transfer out; false: one is under way */
bool connect_is_direct(
	PGconn *pq); /* no pooler between: statements prepared by name are found again */

/* migrate.c: blocking, on a connection that is not in pipeline mode */
enum { POSTGRES_RIGHT_MAX = 160 };
/* After an error 42501, outside of a transaction: the first right that the role lacks, "UPDATE on
 * table users". */
void migrate_missing_right(PGconn *pq, char right[POSTGRES_RIGHT_MAX]);
int64_t migrate_schema(PGconn *pq, struct err *err);
int migrate_check_schema(PGconn *pq, bool current_only, struct err *err);
int migrate_postgres(
	PGconn *pq, struct buffer *applied, void (*progress)(const char *what), struct err *err);

/* keys.c: blocking, too */
int keys_prove_key(PGconn *pq, struct seal *seal,
	struct err *err); /* and stores the check values; exit_code 77 */
int keys_prove_key_only(PGconn *pq, struct seal *seal, struct err *err);
/* Every token that is stored, within the caller's transaction; `each` gives 0 to go on, else has
 * set err. */
int keys_postgres_each_token(PGconn *pq,
	int (*each)(void *argument, const struct rotation_token *token), void *argument,
	struct err *err);
int keys_count_seals(
	PGconn *pq, const struct seal *seal, uint64_t added, uint64_t *stored, struct err *err);
int keys_postgres_rotate(PGconn *pq, struct seal *seal, struct rotation *rotation,
	struct err *err); /* one step of changing the key */

#endif
