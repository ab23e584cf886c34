/* Creation, expiry and cancellation of calls. Thread: the handle's.
 *
 * prefix: transaction_ */
#ifndef PIERRE_CLIENT_CALLS_H
#define PIERRE_CLIENT_CALLS_H

#include "stub.h"

struct pending_call;

/* Queues a call. args: the stub's argument struct. Returns the call's number, or a negative kind
 * with *error filled; done() is then not called. */
int64_t calls_submit(struct pierre *db, const struct stub_method *method, const void *args,
	pierre_done *done, void *userdata, struct pierre_error *error);
/* Adds a call to a transaction; the arguments are copied. Returns its index, or a negative kind
 * with *error filled, and then nothing is added. */
int transaction_add(struct pierre_transaction *transaction, const struct stub_method *method,
	const void *args, struct pierre_error *error);
/* Fails the calls that have timed out. */
void calls_expire(struct pierre *db, int64_t now);
/* A write with a key whose outcome is unknown: it is sent again after a pause. */
void calls_delay(struct pierre *db, struct pending_call *call);
/* Queues the delayed writes whose pause is over. */
void calls_resume(struct pierre *db, int64_t now);

#endif
