/* Session tokens of agents become hashes, when the database's tokens are bound. Thread: the
 * writer. */
#ifndef PIERRE_SESSION_TOKENS_H
#define PIERRE_SESSION_TOKENS_H

#include <stdint.h>

#include "../session.h"

/* Within the caller's transaction: replaces some of the tokens that are no hashes, in their rows
 * and in the log of requests. *found: how many; 0: none is left. */
int session_tokens_hash(struct session *session, uint64_t *found, struct err *err);

#endif
