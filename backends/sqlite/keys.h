/* The key and the database: the proof that they fit, the count of sealings, changing the key.
 * Thread: whoever holds the connection. */
#ifndef PIERRE_SQLITE_KEYS_H
#define PIERRE_SQLITE_KEYS_H

#include "../rotation.h"
#include "session.h"
#include "sqlite.h"

/* Reading only: do the keys open what the database holds? exit_code 77 when not. */
int keys_prove(struct session *session, struct err *err);
/* Stores the check values that are missing, and reads how much the key has sealed. */
int keys_begin(struct session *session, struct err *err);
/* Within the writer's transaction, before its commit: writes down that more is sealed. Gives how
 * many to tell seal_count_stored, 0: none. */
uint64_t keys_count(struct session *session, uint64_t *stored);
/* Every token that is stored; `each` gives 0 to go on, else has set err. */
int keys_each_token(struct session *session,
	int (*each)(void *argument, const struct rotation_token *token), void *argument,
	struct err *err);
/* One step of changing the key, in a transaction of its own, on the writer's thread. RUN_BROKEN:
 * storage failed, as after any failed write. */
enum run_result keys_rotate(struct worker *writer, struct call *call);

#endif
