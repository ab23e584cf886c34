#include "members.h"

#include <stdio.h>
#include <string.h>

#include "../../backends/transaction.h"
#include "../../protocol/decode.h"
#include "../clients/connection.h"
#include "dispatcher.h"
#include "submit.h"

void members_init(struct members_methods *methods)
{
	static const char name[] = "daemon.transaction";
	const struct method *row = catalog_find(name, sizeof name - 1);

	for (int role = ROLE_NONE; role <= ROLE_ADMIN; role++) {
		for (int writes = 0; writes <= 1; writes++) {
			struct method *method = &methods->rows[role][writes];

			*method = *row;
			method->role = (uint8_t)(role > row->role ? role : row->role);
			method->write = method->keyed = writes != 0;
		}
	}
}

/* A member's error becomes that of the transaction: "user.email" is then
 * "calls[3].params.user.email". */
static int members_wrong(struct call *call, unsigned place, const char *path, struct err *err)
{
	char whole[ERR_PATH_MAX], message[ERR_MESSAGE_MAX];

	(void)snprintf(whole, sizeof whole, "calls[%u]%s%s", place, *path != '\0' ? "." : "", path);
	(void)snprintf(message, sizeof message, "%s", err->message);
	(void)err_set_path(&call->err, err->kind, whole, "calls[%u]: %s", place, message);
	call->err.index = place + 1;
	return -1;
}

static int members_invalid(struct call *call, unsigned place, const char *path, const char *what)
{
	struct err err;

	(void)err_set(&err, ERR_INVALID_PARAMS, "%s", what);
	return members_wrong(call, place, path, &err);
}

static int members_out_of_memory(struct call *call)
{
	return err_set(&call->err, ERR_INTERNAL, "out of memory");
}

struct member_nodes {
	uint32_t method, params;
};

static int find_nodes(struct call *call, const struct json *json, uint32_t node, unsigned place,
	struct member_nodes *found)
{
	*found = (struct member_nodes){0};
	if (json->nodes[node].type != JSON_OBJECT)
		return members_invalid(call, place, "", "it must be an object");
	for (uint32_t name = node + 1; name < json->nodes[node].next;
		name = json->nodes[name + 1].next) {
		size_t length;
		const char *text = json_scan_text(json, name, &call->arena, &length);
		char unknown[ERR_PATH_MAX];

		if (text == NULL)
			return members_out_of_memory(call);
		if (length == 6 && memcmp(text, "method", 6) == 0) {
			found->method = name + 1;
		} else if (length == 6 && memcmp(text, "params", 6) == 0) {
			found->params = name + 1;
		} else {
			(void)snprintf(unknown, sizeof unknown, "%.*s",
				(int)(length > 100 ? 100 : length), text);
			return members_invalid(
				call, place, unknown, "a call has a method and its params only");
		}
	}
	if (found->method == 0 || json->nodes[found->method].type != JSON_STRING)
		return members_invalid(call, place, "method",
			found->method == 0 ? "its method is missing"
					   : "its method must be a string");
	if (found->params != 0 && json->nodes[found->params].type != JSON_OBJECT &&
		json->nodes[found->params].type != JSON_ARRAY)
		return members_invalid(
			call, place, "params", "its params must be an object or an array");
	return 0;
}

static bool takes_part(const struct method *method)
{
	return method->impl == IMPL_SQL || method->impl == IMPL_HASH_PASSWORD ||
		method->impl == IMPL_VERIFY_PASSWORD;
}

static int method_of_member(struct call *call, const struct json *json, uint32_t node,
	unsigned place, const struct method **method)
{
	char what[ERR_MESSAGE_MAX];
	size_t length;
	const char *name = json_scan_text(json, node, &call->arena, &length);

	if (name == NULL)
		return members_out_of_memory(call);
	*method = catalog_find(name, length);
	if (*method != NULL && takes_part(*method))
		return 0;
	(void)snprintf(what, sizeof what,
		*method == NULL ? "there is no method \"%.*s\""
				: "%.*s cannot be part of a transaction",
		(int)(length > 100 ? 100 : length), name);
	return members_invalid(call, place, "method", what);
}

/* Their methods, before any of their parameters: like another call's, its role counts first. */
static int methods_of_members(struct request *request, const struct json *json, uint32_t calls,
	struct member_nodes *nodes)
{
	struct call *call = &request->call;
	uint32_t node = calls + 1;
	uint8_t role = ROLE_NONE;
	bool writes = false;

	for (unsigned i = 0; i < json->nodes[calls].count; i++, node = json->nodes[node].next) {
		struct call *member = &call->members[i];
		struct err err;

		if (find_nodes(call, json, node, i, &nodes[i]) < 0 ||
			method_of_member(call, json, nodes[i].method, i, &member->method) < 0)
			return -1;
		if (!submit_has_role(request->connection, member->method, &err)) {
			call->err = err;
			call->err.index = i + 1;
			return -1;
		}
		role = member->method->role > role ? member->method->role : role;
		writes = writes || method_may_write(member->method);
	}
	call->method = &request->dispatcher->transactions.rows[role][writes];
	return 0;
}

static int decode_member(struct call *member, const struct json *json, uint32_t params)
{
	struct call *call = member->within;
	unsigned place = (unsigned)(member - call->members);
	char path[ERR_PATH_MAX];
	struct err err;

	member->now = call->now;
	member->answer.cap = call->answer.cap;
	member->values = arena_calloc(
		&member->arena, member->method->bind_count + 1U, sizeof *member->values);
	if (member->values == NULL)
		return members_out_of_memory(call);
	if (decode_params(member->method, json, params, call->now, &member->arena, member->values,
		    &err) == 0)
		return 0;
	if (err.kind != ERR_INVALID_PARAMS) {
		call->err = err;
		return -1;
	}
	/* By position there is a path only for what is too much: params[2]. */
	(void)snprintf(path, sizeof path, "%s%.140s",
		strncmp(err.path, "params[", 7) == 0 && json->nodes[params].type == JSON_ARRAY
			? ""
			: "params.",
		err.path);
	return members_wrong(call, place, path, &err);
}

static int members_allocate(struct call *call, unsigned count, struct member_nodes **nodes)
{
	*nodes = arena_calloc(&call->arena, count, sizeof **nodes);
	call->members = arena_calloc(&call->arena, count, sizeof *call->members);
	if (*nodes == NULL || call->members == NULL)
		return members_out_of_memory(call);
	call->member_count = count;
	for (unsigned i = 0; i < count; i++) {
		call->members[i].within = call;
		call->members[i].arena.wipe = true;
		list_init(&call->members[i].link);
	}
	return 0;
}

int members_decode(struct request *request, const struct json *json, uint32_t params)
{
	struct call *call = &request->call;
	struct member_nodes *nodes;
	uint32_t calls;
	unsigned count;

	call->member_count = 0;
	if (decode_params(call->method, json, params, call->now, &call->arena, call->values,
		    &call->err) < 0)
		return -1;
	calls = json->nodes[params].type == JSON_ARRAY ? params + 1
						       : json_member(json, params, "calls", 5);
	count = json->nodes[calls].count;
	if (count == 0 || count > catalog_calls_max)
		return err_set_path(&call->err, ERR_INVALID_PARAMS, "calls",
			"calls must hold 1 to %u calls, not %u", catalog_calls_max, count);
	if (members_allocate(call, count, &nodes) < 0 ||
		methods_of_members(request, json, calls, nodes) < 0)
		return -1;
	for (unsigned i = 0; i < count; i++)
		if (decode_member(&call->members[i], json, nodes[i].params) < 0)
			return -1;
	return 0;
}
