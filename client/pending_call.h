/* An unfinished call, and its completion. Internal to the library; thread: the handle's. */
#ifndef PIERRE_CLIENT_PENDING_CALL_H
#define PIERRE_CLIENT_PENDING_CALL_H

#include "list.h"
#include "stub.h"

struct pending_call {
	struct list link; /* in handle->queued or handle->sent */
	struct pending_call *next_in_bucket;
	int64_t number;                   /* the request's id */
	const struct stub_method *method; /* NULL for a method unknown to the library */
	bool write;                       /* may change data: not sent twice without a key */
	bool repeatable;                  /* a write with a key that is repeated while unknown */
	bool doubtful;                    /* an earlier attempt may have been carried out */
	bool sent_before;                 /* a read that is being retried */
	bool refused; /* failed while partly written: freed after the rest is written */
	char *line;
	size_t length, written;
	int64_t deadline;         /* clock_ms() at which it times out; INT64_MAX: never */
	int64_t connect_deadline; /* the same without a connection */
	int64_t not_before;       /* in handle->delayed: when it is sent again */
	unsigned repeats;         /* how often it was delayed */
	pierre_done *done;
	void *userdata;
};

/* Removes the call from list and table, runs its callback, frees it. */
void pending_call_finish(
	struct pierre *db, struct pending_call *call, const struct pierre_answer *answer);
/* The same, with an error. */
void pending_call_fail(
	struct pierre *db, struct pending_call *call, const struct pierre_error *error);
/* The same for a partly written call: the rest of its line must still be written. */
void pending_call_refuse(
	struct pierre *db, struct pending_call *call, const struct pierre_error *error);
/* Frees a call without running its callback. */
void pending_call_drop(struct pierre *db, struct pending_call *call);
/* Fails all calls of the list; `maybe_done`, or a doubtful call, makes the outcome of writes
 * unknown. After a callback
 * has freed the handle, the rest are freed without callbacks. */
void pending_call_fail_all(
	struct pierre *db, struct list *list, const struct pierre_error *error, bool maybe_done);
/* Moves the calls for which is_over() is true. */
void pending_call_collect(struct list *from, struct list *over, int64_t now,
	bool (*is_over)(const struct pending_call *, int64_t));
/* Fails the queued calls that have waited long enough for a connection. */
void pending_call_expire_unconnected(struct pierre *db, int64_t now);
/* Whether the daemon may have read the call, possibly without its newline. */
bool pending_call_may_have_arrived(const struct pending_call *call);
/* Sets how long the call waits for the next connection. */
void pending_call_wait(const struct pierre *db, struct pending_call *call, int64_t now);

#endif
