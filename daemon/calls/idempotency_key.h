/* What a call keeps of its idempotency key: its owner, and a digest that tells one call from
 * another. Thread: the loop thread. */
#ifndef PIERRE_IDEMPOTENCY_KEY_H
#define PIERRE_IDEMPOTENCY_KEY_H

#include "../../protocol/json/json.h"
#include "../../protocol/wire/rpc.h"
#include "request.h"

/* envelope->key is set, and the parameters are decoded. On failure call->err is set. */
int idempotency_key_take(
	struct request *request, const struct json *json, const struct rpc_request *envelope);

#endif
