/* libFuzzer: a line from the scanner to a method's values, for every method, as the daemon
 * processes it, including batches. An accepted line must be accepted in its compact form as
 * well, with the same values, and its preparation for a database must not fail. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../backends/execute.h"
#include "../../protocol/decode.h"
#include "../../protocol/json/json.h"
#include "../../protocol/wire/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t now = INT64_C(1750347889123456);
static struct seal *seal;

static bool textual(enum type type)
{
	switch (type) {
	case TYPE_BOOL:
	case TYPE_U16:
	case TYPE_U32:
	case TYPE_I64:
	case TYPE_F64:
	case TYPE_TIMESTAMP:
		return false;
	default:
		return true;
	}
}

static bool same_values(const struct method *method, const struct value *a, const struct value *b)
{
	for (unsigned i = 0; i < method->bind_count; i++) {
		const struct bind_param *slot = &method->binds[i];

		if (slot->compute != COMPUTE_NONE ||
			strcmp(slot->name, "id") == 0) /* the id may be random */
			continue;
		/* 1e2 is written as 100.0, which is no longer awkward */
		if (a[i].set != b[i].set || (b[i].flags & ~a[i].flags) != 0)
			return false;
		if (!a[i].set)
			continue;
		if (!textual((enum type)slot->type) ? a[i].i != b[i].i
						    : a[i].s.len != b[i].s.len ||
					memcmp(a[i].s.ptr, b[i].s.ptr, a[i].s.len) != 0)
			return false;
	}
	return true;
}

/* A database can store every accepted value: computed ones are made, tokens are sealed. */
static void prepare(const struct method *method, const struct value *values)
{
	struct call call = {.method = method, .now = now};

	arena_init(&call.arena);
	call.values = arena_calloc(&call.arena, CATALOG_MAX_VALUES, sizeof *call.values);
	if (call.values == NULL)
		abort();
	memcpy(call.values, values, method->bind_count * sizeof *values);
	if (execute_prepare(&call, seal) < 0)
		abort();
	arena_free(&call.arena);
	buffer_free(&call.answer);
}

static void one(const struct json *json, uint32_t node, bool again)
{
	struct value values[CATALOG_MAX_VALUES], twice[CATALOG_MAX_VALUES];
	struct rpc_request request;
	struct buffer compact = {0}, answer = {0};
	struct json second = {0};
	struct arena arena;
	struct err err = {0};

	arena_init(&arena);
	if (rpc_request(json, node, &arena, &request, &err) < 0 ||
		decode_params(request.method, json, request.params, now, &arena, values, &err) <
			0) {
		rpc_error(&answer, request.id, request.id_length, &err);
		if (json_scan(&second, answer.data, answer.length, RPC_DEPTH, NULL) < 0)
			abort(); /* an error is JSON, whatever it quotes */
	} else if (again) {
		struct rpc_request repeated;

		prepare(request.method, values);
		json_write_node(&compact, json, node, &arena);
		if (json_scan(&second, compact.data, compact.length, RPC_DEPTH, NULL) < 0 ||
			rpc_request(&second, 0, &arena, &repeated, &err) < 0 ||
			repeated.method != request.method ||
			decode_params(repeated.method, &second, repeated.params, now, &arena, twice,
				&err) < 0 ||
			!same_values(request.method, values, twice))
			abort();
	}
	json_scan_free(&second);
	buffer_free(&compact);
	buffer_free(&answer);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char key[SEAL_KEY_BYTES];
	struct json json = {0};
	struct err err;
	char *line = malloc(size > 0 ? size : 1);

	if (line == NULL || (seal == NULL && seal_new(&seal, key, false, &err) < 0))
		abort();
	memcpy(line, data, size);
	if (json_scan(&json, line, size, RPC_DEPTH, &err) == 0) {
		if (json.nodes[0].type == JSON_ARRAY)
			for (uint32_t item = 1; item < json.nodes[0].next;
				item = json.nodes[item].next)
				one(&json, item, true);
		else
			one(&json, 0, true);
	}
	json_scan_free(&json);
	free(line);
	return 0;
}
