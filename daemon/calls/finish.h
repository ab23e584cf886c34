/* How a request ends: its answer is completed, counted and sent, or joins its batch's. Thread: the
 * loop thread. */
#ifndef PIERRE_FINISH_H
#define PIERRE_FINISH_H

#include <stddef.h>

#include "../../protocol/error.h"

struct connection;
struct request;

/* A request has its result: call.err, or a result behind call.answer_start. Answers and frees it.
 */
void finish_call(struct request *request);
/* An error that is known at once. request: NULL, or the one to answer in a batch (taken). */
void finish_refused(struct connection *connection, struct request *request, const char *id,
	size_t id_length, struct err *err);
/* What only the operator may read goes to the log under a reference; the client gets the
 * reference. method: NULL when none is known. */
void finish_hide_internal(struct err *err, const char *method);

#endif
