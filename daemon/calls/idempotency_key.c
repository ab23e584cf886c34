/* The digest covers the parameters as the client sent them, not the values that are bound: a
 * default such as the time of the call differs from one attempt to the next.
 *
 * Parameters, and the members of a parameter object, are taken in the catalog's order, without
 * those that are null. So a call by position equals the same call by name, and the order of the
 * names does not count. Other values count token by token: a string by its text without escapes, a
 * number by its digits. White space never counts. The calls of a transaction count one by one. */
#include "idempotency_key.h"

#include <sodium.h>
#include <string.h>

#include "../../backends/idempotency.h"
#include "../../backends/transaction.h"
#include "../../protocol/decode.h"
#include "../clients/connection.h"
#include "dispatcher.h"

_Static_assert((int)RPC_KEY_MAX == (int)IDEMPOTENCY_KEY_MAX, "every key fits");

struct digest {
	crypto_generichash_state state;
	const struct json *json;
	struct arena *scratch;
	bool failed; /* out of memory */
};

static void add_bytes(struct digest *digest, const void *bytes, size_t length)
{
	(void)crypto_generichash_update(&digest->state, bytes, length);
}

/* Type and size come first, so that no two sequences of values have the same bytes. */
static void add_head(struct digest *digest, uint8_t type, uint64_t size)
{
	unsigned char head[9] = {type};

	memcpy(head + 1, &size, sizeof size);
	add_bytes(digest, head, sizeof head);
}

static void add_value(struct digest *digest, uint32_t value)
{
	const struct json *json = digest->json;

	for (uint32_t at = value; at < json->nodes[value].next; at++) {
		const struct json_node *node = &json->nodes[at];
		const char *text = json->text + node->start;
		size_t length = node->length;

		if (node->type == JSON_ARRAY || node->type == JSON_OBJECT) {
			add_head(digest, node->type, node->count);
			continue;
		}
		if (node->type == JSON_STRING)
			text = json_scan_text(json, at, digest->scratch, &length);
		if (text == NULL) {
			digest->failed = true;
			return;
		}
		add_head(digest, node->type, length);
		add_bytes(digest, text, length);
	}
}

/* The value of the field at `place`; 0: none. */
static uint32_t value_of(
	const struct json *json, uint32_t container, const struct field *field, unsigned place)
{
	uint32_t item = container + 1;

	if (json->nodes[container].type == JSON_OBJECT)
		return json_member(json, container, field->name, field->name_length);
	if (place >= json->nodes[container].count)
		return 0;
	while (place-- > 0)
		item = json->nodes[item].next;
	return item;
}

static void add_fields(
	struct digest *digest, uint32_t container, const struct field *fields, unsigned count);

/* An array of parameter objects. */
static void add_rows(struct digest *digest, uint32_t array, const struct field *field)
{
	const struct json_node *nodes = digest->json->nodes;

	add_head(digest, JSON_ARRAY, nodes[array].count);
	for (uint32_t row = array + 1; row < nodes[array].next; row = nodes[row].next)
		add_fields(digest, row, field->members, field->member_count);
}

static void add_fields(
	struct digest *digest, uint32_t container, const struct field *fields, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint32_t value = value_of(digest->json, container, &fields[i], i);

		if (value == 0 || digest->json->nodes[value].type == JSON_NULL)
			continue;
		add_head(digest, UINT8_MAX, i);
		if (fields[i].type == TYPE_OBJECT)
			add_fields(digest, value, fields[i].members, fields[i].member_count);
		else if (fields[i].type == TYPE_ROWS)
			add_rows(digest, value, &fields[i]);
		else
			add_value(digest, value);
	}
	add_head(digest, UINT8_MAX, UINT64_MAX);
}

/* No parameters are the same as an empty object or array. */
static void add_params(struct digest *digest, const struct method *method, uint32_t params)
{
	if (params != DECODE_NO_PARAMS)
		add_fields(digest, params, method->params, method->param_count);
	else
		add_head(digest, UINT8_MAX, UINT64_MAX);
}

/* The calls of a transaction: their methods, and their parameters as above. */
static void add_calls(struct digest *digest, const struct call *call, uint32_t params)
{
	const struct json *json = digest->json;
	uint32_t node = 1 + value_of(json, params, call->method->params, 0);

	for (unsigned i = 0; i < call->member_count; i++, node = json->nodes[node].next) {
		const struct method *method = call->members[i].method;

		add_head(digest, JSON_STRING, method->name_length);
		add_bytes(digest, method->name, method->name_length);
		add_params(digest, method, json_member(json, node, "params", 6));
	}
}

int idempotency_key_take(
	struct request *request, const struct json *json, const struct rpc_request *envelope)
{
	struct call *call = &request->call;
	struct idempotency *kept = arena_calloc(&call->arena, 1, sizeof *kept);
	struct digest digest = {.json = json, .scratch = &request->dispatcher->scratch};

	if (kept == NULL)
		return err_set(&call->err, ERR_INTERNAL, "out of memory");
	kept->uid = request->connection->uid;
	kept->length = (uint8_t)envelope->key_length;
	memcpy(kept->key, envelope->key, envelope->key_length);
	(void)crypto_generichash_init(&digest.state, NULL, 0, sizeof kept->params);
	if (transaction_is(call))
		add_calls(&digest, call, envelope->params);
	else
		add_params(&digest, call->method, envelope->params);
	(void)crypto_generichash_final(&digest.state, kept->params, sizeof kept->params);
	sodium_memzero(&digest.state, sizeof digest.state);
	if (digest.failed)
		return err_set(&call->err, ERR_INTERNAL, "out of memory");
	call->idempotency = kept;
	return 0;
}
