/* A transaction: one call for the store, whose members run in order, all or none. What is the same
 * for each backend. Thread: the one that holds the call. */
#ifndef PIERRE_TRANSACTION_H
#define PIERRE_TRANSACTION_H

#include "call.h"

static inline bool transaction_is(const struct call *call)
{
	return call->method != NULL && call->method->impl == IMPL_TRANSACTION;
}

/* After a member has run. False: it failed, or the answers are too large; the transaction has the
 * error and must be undone. */
bool transaction_goes_on(struct call *member);
/* All members have run: joins their results. Failure, as above: a member has failed meanwhile. */
int transaction_end(struct call *call);
/* Their results as one text in the call's arena, and back. NULL or failure: call->err is set. */
char *transaction_save(struct call *call, size_t *length);
int transaction_restore(struct call *call, const char *text, size_t length);
/* Frees what its members hold, the members included. */
void transaction_free(struct call *call);
size_t transaction_bytes(const struct call *call); /* that its members hold */

#endif
