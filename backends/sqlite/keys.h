/* The key and the database: the proof that they fit, the count of sealings, changing the key.
 * Thread: whoever holds the connection. */
#ifndef PIERRE_SQLITE_KEYS_H
#define PIERRE_SQLITE_KEYS_H

#include "../secrets/rotation.h"
#include "session.h"

/* Reading only: do the keys open what the database holds? exit_code 77 when not. */
int keys_prove(struct session *session, struct err *err);
/* Stores the check values that are missing, and reads how much the key has sealed. */
int keys_begin(struct session *session, struct err *err);
/* Within the writer's transaction, before its commit: writes down that more is sealed. Returns how
 * many to report to seal_count_stored, 0: none. */
uint64_t keys_count(struct session *session, uint64_t *stored);
/* Every token that is stored; `each` gives 0 to go on, else has set err. */
int keys_each_token(struct session *session,
	int (*each)(void *argument, const struct rotation_token *token), void *argument,
	struct err *err);
/* One step of changing the key, within the caller's transaction. */
int keys_step(struct session *session, struct rotation *next, struct err *err);

#endif
