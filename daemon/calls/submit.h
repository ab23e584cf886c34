/* From a decoded request to the store. Thread: the loop thread. */
#ifndef PIERRE_SUBMIT_H
#define PIERRE_SUBMIT_H

#include <stdbool.h>

#include "../../protocol/catalog.h"
#include "../../protocol/error.h"

struct connection;
struct request;

/* The peer may call the method. */
bool submit_has_role(
	const struct connection *connection, const struct method *method, struct err *err);
/* A request that waited is to go on. False: it has ended instead, since its client is gone, or has
 * lost the role for it. */
bool submit_begins(struct request *request);
/* Lends a request to the store. */
void submit_call(struct request *request);

#endif
