/* Calls with passwords: hashed before the store gets them, or compared after it has found the row.
 * What a connection sends behind a create_user whose password is being hashed is held back, so that
 * its order is kept. Thread: the loop thread. */
#ifndef PIERRE_PASSWORDS_H
#define PIERRE_PASSWORDS_H

#include <stdbool.h>

struct call;
struct connection;
struct request;

/* Of the call, or of a member of the transaction; all of them are processed side by side. */
bool passwords_needs_hash(const struct request *request);
/* The store has run the call: a password is still to be compared. */
bool passwords_needs_check(const struct call *call);
void passwords_hash(struct request *request);   /* then submit_call */
void passwords_verify(struct request *request); /* then finish_call */
/* Continues the requests that are held back, up to the next one that others wait for. */
void passwords_release_held(struct connection *connection);
/* The second part of verifying: what the work has to be is known. */
void passwords_compare(struct request *request);

#endif
