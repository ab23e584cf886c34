/* The SQLite store on the loop thread: short look-ups run here, other calls go to the threads and
 * return. */
#ifndef PIERRE_SQLITE_LOOP_H
#define PIERRE_SQLITE_LOOP_H

#include "../store.h"

struct sqlite_store;

void loop_submit(struct store *base, struct call *call);
void loop_ping(struct store *base, struct call *probe);
/* Hands over submitted calls. */
void loop_flush(struct store *base);
/* Collects ended calls. */
void loop_process(struct store *base);
/* Limits the loop's connection: no waiting, few steps. */
void loop_bound(struct sqlite_store *store);

#endif
