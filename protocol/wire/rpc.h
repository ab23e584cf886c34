/* The JSON-RPC 2.0 envelope: parsing requests and writing answers. Pure functions.
 *
 * A line is one request or a batch. rpc_read scans it and classifies it; rpc_request reads one
 * request object. Thread: no state; the struct json is the caller's scratch. */
#ifndef PIERRE_RPC_H
#define PIERRE_RPC_H

#include "../arena.h"
#include "../buffer.h"
#include "../catalog.h"
#include "../error.h"
#include "../json/json.h"

enum {
	RPC_ID_MAX = 256,
	RPC_KEY_MAX = 64, /* bytes of an idempotency key */
	RPC_DEPTH = 64,
	RPC_BATCH = 1000,
};

enum rpc_id_kind { RPC_ID_ABSENT, RPC_ID_PRESENT };

struct rpc_request {
	bool notification; /* no id: never answered */
	const char *id;    /* JSON text of the id as in the line: `7`, `"a"`, `null` */
	size_t id_length;
	const char *method_name; /* unescaped */
	size_t method_length;
	const struct method *method; /* NULL when no method has that name */
	uint32_t params;             /* node, or DECODE_NO_PARAMS */
	const char *key; /* idempotency key, unescaped; NULL: none, or the method ignores it */
	size_t key_length;
};

/* node: the request's node (0 for a whole line, a child of the array for a batch).
 *
 * On failure (ERR_INVALID_REQUEST or ERR_METHOD_NOT_FOUND) *request still holds the answer's id
 * (`null` where it is unknown) and whether it is a notification. What is no request object of
 * JSON-RPC is none and always answered. Params that are neither array nor object:
 * INVALID_REQUEST. */
int rpc_request(const struct json *json, uint32_t node, struct arena *arena,
	struct rpc_request *request, struct err *err);

/* The texts before the id of each request and answer, and before a method, its parameters and a
 * result. */
#define RPC_HEAD "{\"jsonrpc\":\"2.0\",\"id\":"
#define RPC_METHOD ",\"method\":"
#define RPC_PARAMS ",\"params\":"
#define RPC_RESULT ",\"result\":"

enum { RPC_ID_AT = sizeof RPC_HEAD - 1 }; /* offset of the id in every request and answer */

/* `{"jsonrpc":"2.0","id":<id>,"result":` — the result's text follows, then rpc_end_result. */
void rpc_begin_result(struct buffer *out, const char *id, size_t id_length);
void rpc_end_result(struct buffer *out); /* `}` without newline */
/* A whole error object, `{"jsonrpc":"2.0","id":…,"error":{"code":…,"message":…,"data":{…}}}`,
 * without newline. */
void rpc_error(struct buffer *out, const char *id, size_t id_length, const struct err *err);

#endif
