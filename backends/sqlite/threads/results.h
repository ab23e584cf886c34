/* Calls that have ended, on their way from the threads back to the loop. */
#ifndef PIERRE_SQLITE_RESULTS_H
#define PIERRE_SQLITE_RESULTS_H

#include "../../../protocol/list.h"

struct sqlite_store;

/* Any thread: the loop gets all of `calls`, with one wake-up. */
void results_hand_over(struct sqlite_store *store, struct list *calls);
/* The loop's thread: appends what has ended to `calls`. */
void results_take(struct sqlite_store *store, struct list *calls);

#endif
