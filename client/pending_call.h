/* A call that is not finished, and the ways in which it ends. Internal to the library; thread: the
 * handle's. */
#ifndef PIERRE_CLIENT_PENDING_CALL_H
#define PIERRE_CLIENT_PENDING_CALL_H

#include "list.h"
#include "stub.h"

struct pending_call {
	struct list link; /* in handle->queued or handle->sent */
	struct pending_call *next_in_bucket;
	int64_t number;                   /* the request's id */
	const struct stub_method *method; /* NULL for one that the library does not know */
	bool write;                       /* may change something: never sent twice */
	bool sent_before;                 /* a read that is sent for the second time */
	bool refused; /* failed before all of its line was written: freed when the rest is */
	char *line;
	size_t length, written;
	int64_t deadline;         /* clock_ms() at which it has failed; INT64_MAX: never */
	int64_t connect_deadline; /* the same, while there is no connection */
	pierre_done *done;
	void *userdata;
};

/* Takes the call out of the list and the table, calls it back, frees it. */
void pending_call_finish(
	struct pierre *db, struct pending_call *call, const struct pierre_answer *answer);
/* The same, with an error. */
void pending_call_fail(
	struct pierre *db, struct pending_call *call, const struct pierre_error *error);
/* The same for a call whose line is partly written: the rest of the line must follow. */
void pending_call_refuse(
	struct pierre *db, struct pending_call *call, const struct pierre_error *error);
/* Frees a call without calling it back. */
void pending_call_drop(struct pierre *db, struct pending_call *call);
/* Fails all calls of the list; the outcome of a write becomes unknown when `maybe_done`. Once a
 * callback has freed the handle, the rest are freed without being called back. */
void pending_call_fail_all(
	struct pierre *db, struct list *list, const struct pierre_error *error, bool maybe_done);
/* Moves the calls for which is_over() is true. */
void pending_call_collect(struct list *from, struct list *over, int64_t now,
	bool (*is_over)(const struct pending_call *, int64_t));
/* Fails the queued calls that have waited long enough for a connection. */
void pending_call_expire_unconnected(struct pierre *db, int64_t now);
/* The daemon may have read it, although its line may not be wholly written. */
bool pending_call_may_have_arrived(const struct pending_call *call);
/* Sets how long the call waits for the next connection. */
void pending_call_wait(const struct pierre *db, struct pending_call *call, int64_t now);

#endif
