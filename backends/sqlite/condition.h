/* The storage's health, for the log and daemon.health. */
#ifndef PIERRE_SQLITE_CONDITION_H
#define PIERRE_SQLITE_CONDITION_H

#include "../store.h"

struct sqlite_store;

/* Any thread: a storage failure has occurred. */
void condition_note_error(struct sqlite_store *store, const char *text);
/* Every second: logs the end of a failure. */
void condition_log_recovery(struct sqlite_store *store);
enum store_health condition_health(struct store *base, char detail[ERR_MESSAGE_MAX]);

#endif
