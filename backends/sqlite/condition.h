/* The health of the storage, as the log and daemon.health report it. */
#ifndef PIERRE_SQLITE_CONDITION_H
#define PIERRE_SQLITE_CONDITION_H

#include "../store.h"

struct sqlite_store;

/* Any thread: the storage has failed. */
void condition_note_error(struct sqlite_store *store, const char *text);
/* Each second: the end of that goes to the log, too. */
void condition_log_recovery(struct sqlite_store *store);
enum store_health condition_health(struct store *base, char detail[ERR_MESSAGE_MAX]);

#endif
