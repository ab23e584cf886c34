/* The calls of a transaction, from the request's text to decoded parameters. Thread: the loop
 * thread. */
#ifndef PIERRE_MEMBERS_H
#define PIERRE_MEMBERS_H

#include "../../protocol/wire/rpc.h"
#include "request.h"

/* What a transaction needs depends on its calls: the catalog's row for each role, and for reads
 * alone. */
struct members_methods {
	struct method rows[ROLE_ADMIN + 1][2];
};

void members_init(struct members_methods *methods);
/* Decodes them into call->members, and gives the call the row of its kind. Texts may point into the
 * json's text. Failure: call->err. */
int members_decode(struct request *request, const struct json *json, uint32_t params);

#endif
