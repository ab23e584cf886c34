/* Ended calls on their way from the threads back to the loop. */
#ifndef PIERRE_SQLITE_RESULTS_H
#define PIERRE_SQLITE_RESULTS_H

#include "../../../protocol/list.h"

struct sqlite_store;

/* Any thread: passes all of `calls` to the loop, with one wake-up. */
void results_hand_over(struct sqlite_store *store, struct list *calls);
/* The loop's thread: appends ended calls to `calls`. */
void results_take(struct sqlite_store *store, struct list *calls);

#endif
