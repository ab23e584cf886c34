/* From a decoded request to the store. Thread: the loop thread. */
#ifndef PIERRE_SUBMIT_H
#define PIERRE_SUBMIT_H

#include <stdbool.h>

#include "../../protocol/catalog.h"
#include "../../protocol/error.h"
#include "../clients/connection.h"
#include "request.h"

/* The error for a peer without the role that the method needs; false. */
bool submit_lacks_role(
	const struct connection *connection, const struct method *method, struct err *err);
/* The peer may call the method. */
static inline bool submit_has_role(
	const struct connection *connection, const struct method *method, struct err *err)
{
	if (connection->role >= method->role)
		return true;
	return submit_lacks_role(connection, method, err);
}
/* submit_begins, for a request that has waited. */
bool submit_still_begins(struct request *request);
/* A request that waited is to go on. False: it has ended instead, since its client is gone, or has
 * lost the role for it. */
static inline bool submit_begins(struct request *request)
{
	return request->state == REQUEST_NEW || submit_still_begins(request);
}
/* Lends a request to the store, or to the method that waits. */
void submit_call(struct request *request);

#endif
