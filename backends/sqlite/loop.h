/* The store on the loop's thread: short look-ups run here, all other calls go to the threads and
 * come back. */
#ifndef PIERRE_SQLITE_LOOP_H
#define PIERRE_SQLITE_LOOP_H

#include "../store.h"

struct sqlite_store;

void loop_submit(struct store *base, struct call *call);
void loop_ping(struct store *base, struct call *probe);
/* Hands over what was submitted. */
void loop_flush(struct store *base);
/* Takes what has ended. */
void loop_process(struct store *base);
/* Gives the loop's connection its bounds: no waiting, few steps. */
void loop_bound(struct sqlite_store *store);

#endif
