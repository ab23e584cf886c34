/* From a line to calls. Thread: the loop thread. */
#ifndef PIERRE_DISPATCH_H
#define PIERRE_DISPATCH_H

#include "../clients/connection.h"
#include "dispatcher.h"

/* What a dispatcher works with; all of it outlives the dispatcher. */
struct dispatch_parts {
	struct runtime *runtime;
	struct store *store;
	const struct own_method *own_methods; /* by a method's index */
	struct admin *admin;                  /* theirs */
};

/* For a connection_set whose owner is a struct dispatcher. */
extern const struct connection_events dispatch_events;

int dispatch_init(struct dispatcher *dispatcher, const struct dispatch_parts *parts);
void dispatch_close_handles(struct dispatcher *dispatcher);
void dispatch_free(struct dispatcher *dispatcher);
/* Hands what was submitted to the store, and ends the calls that are done: the iteration's end. */
void dispatch_flush(struct dispatcher *dispatcher);
/* Once a second: frees what no line has needed for a while. */
void dispatch_trim(struct dispatcher *dispatcher);

#endif
