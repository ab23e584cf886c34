#include "rpc.h"

#include "../decode.h"
#include "../json/json_add.h"

static int rpc_no_memory(struct err *err)
{
	return err_set(err, ERR_INTERNAL, "out of memory");
}

static int invalid(struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID_REQUEST, "not a valid request: %s", what);
}

static bool is(const char *found, size_t found_length, const char *text)
{
	return found_length == strlen(text) && memcmp(found, text, found_length) == 0;
}

struct members {
	uint32_t jsonrpc, id, method, params, key;
	bool two_ids; /* a broken text does not tell which request is meant */
};

static int find_members(const struct json *json, uint32_t object, struct arena *arena,
	struct members *found, struct err *err)
{
	for (uint32_t name = object + 1; name < json->nodes[object].next;
		name = json->nodes[name + 1].next) {
		size_t length;
		const char *text = json_scan_text(json, name, arena, &length);

		if (text == NULL)
			return rpc_no_memory(err);
		if (is(text, length, "jsonrpc"))
			found->jsonrpc = name + 1;
		else if (is(text, length, "id")) {
			found->two_ids |= found->id != 0;
			found->id = name + 1;
		} else if (is(text, length, "method"))
			found->method = name + 1;
		else if (is(text, length, "params"))
			found->params = name + 1;
		else if (is(text, length, "idempotency_key"))
			found->key = name + 1;
	}
	return 0;
}

/* Reads the id of the answer. Fails when the request has an invalid one. */
static int read_id(const struct json *json, uint32_t id, struct arena *arena,
	struct rpc_request *request, struct err *err)
{
	const struct json_node *node = &json->nodes[id];
	size_t length = 0;

	if (id == 0 || (node->flags & JSON_BROKEN) != 0)
		return 0;
	switch (node->type) {
	case JSON_STRING:
		if (json_scan_text(json, id, arena, &length) == NULL)
			return rpc_no_memory(err);
		if (length > RPC_ID_MAX)
			break;
		request->id = json->text + node->start - 1;
		request->id_length = (size_t)node->length + 2;
		return 0;
	case JSON_INTEGER:
	case JSON_NULL:
		request->id = json->text + node->start;
		request->id_length = node->length;
		return 0;
	default:
		break;
	}
	return invalid(err, "its id must be a string of at most 256 bytes, an integer or null");
}

/* Reads the idempotency key of a method that takes one. */
static int read_key(const struct json *json, uint32_t key, struct arena *arena,
	struct rpc_request *request, struct err *err)
{
	if (json->nodes[key].type == JSON_STRING) {
		request->key = json_scan_text(json, key, arena, &request->key_length);
		if (request->key == NULL)
			return rpc_no_memory(err);
		if (request->key_length >= 1 && request->key_length <= RPC_KEY_MAX)
			return 0;
	}
	return invalid(err, "its idempotency_key must be a string of 1 to 64 bytes");
}

int rpc_request(const struct json *json, uint32_t node, struct arena *arena,
	struct rpc_request *request, struct err *err)
{
	struct members found = {0};
	const char *version = "";
	size_t length = 0;

	*request = (struct rpc_request){.id = "null", .id_length = 4};
	if (json->nodes[node].type != JSON_OBJECT)
		return invalid(err, "it is not an object");
	if (find_members(json, node, arena, &found, err) < 0 ||
		read_id(json, found.two_ids ? 0 : found.id, arena, request, err) < 0)
		return -1;
	if (found.jsonrpc != 0 && json->nodes[found.jsonrpc].type == JSON_STRING)
		version = json_scan_text(json, found.jsonrpc, arena, &length);
	if (version == NULL)
		return rpc_no_memory(err);
	if (!is(version, length, "2.0"))
		return invalid(err, "its jsonrpc must be \"2.0\"");
	if (found.method == 0 || json->nodes[found.method].type != JSON_STRING)
		return invalid(err, "its method must be a string");
	if (found.params != 0 && json->nodes[found.params].type != JSON_OBJECT &&
		json->nodes[found.params].type != JSON_ARRAY)
		return invalid(err, "its params must be an object or an array");
	request->notification = found.id == 0; /* what is no request object is always answered */
	request->params = found.params;
	request->method_name = json_scan_text(json, found.method, arena, &request->method_length);
	if (request->method_name == NULL)
		return rpc_no_memory(err);
	request->method = catalog_find(request->method_name, request->method_length);
	if (request->method == NULL)
		return err_set(err, ERR_METHOD_NOT_FOUND, "there is no method \"%.*s%s\"",
			(int)(request->method_length > 100 ? 100 : request->method_length),
			request->method_name, request->method_length > 100 ? "…" : "");
	if (found.key != 0 && request->method->keyed)
		return read_key(json, found.key, arena, request, err);
	return 0;
}

static void rpc_begin(struct buffer *out, const char *id, size_t id_length)
{
	buffer_append(out, RPC_HEAD, RPC_ID_AT);
	buffer_append(out, id, id_length);
}

void rpc_begin_result(struct buffer *out, const char *id, size_t id_length)
{
	rpc_begin(out, id, id_length);
	buffer_append(out, RPC_RESULT, sizeof RPC_RESULT - 1);
}

void rpc_end_result(struct buffer *out)
{
	buffer_byte(out, '}');
}

/* Forms of ERROR_MEMBERS. */
static void write_text(struct buffer *out, const char *name, const char *text)
{
	if (*text != '\0')
		json_add_text(out, name, text);
}

static void write_outcome(struct buffer *out, const char *name, enum err_outcome outcome)
{
	if (outcome != OUTCOME_UNSET)
		json_add_text(out, name, err_outcome_word(outcome));
}

static void write_ref(struct buffer *out, const char *name, uint64_t ref)
{
	char text[ERR_REF_DIGITS + 1];

	if (ref == 0)
		return;
	err_ref_format(ref, text);
	json_add_text(out, name, text);
}

static void write_place(struct buffer *out, const char *name, unsigned place)
{
	if (place > 0)
		json_add_integer(out, name, (int64_t)place - 1);
}

void rpc_error(struct buffer *out, const char *id, size_t id_length, const struct err *err)
{
	const struct err_info *info = err_info(err->kind);

	rpc_begin(out, id, id_length);
	json_add_object(out, "error");
	json_add_integer(out, "code", info->code);
	json_add_text(out, "message", err->message[0] != '\0' ? err->message : info->meaning);
	json_add_object(out, "data");
	json_add_text(out, "kind", info->name);
	json_add_bool(out, "retryable", info->retryable);
	if (err->kind == ERR_INVALID_PARAMS && err->path[0] == '\0')
		json_add_text(out, "path", ""); /* a member whose name is empty */
#define X(member, form) write_##form(out, #member, err->member);
	ERROR_MEMBERS(X)
#undef X
	buffer_text(out, "}}}");
}
