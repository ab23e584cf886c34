#include "execute.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "../protocol/encode.h"
#include "../protocol/json/json.h"

enum { BAD_ROW_ID_MAX = 100 };
static const int64_t hour_us = INT64_C(3600000000);

static int execute_out_of_memory(struct call *call)
{
	return execute_fail(call, ERR_INTERNAL, "out of memory");
}

static void execute_set_text(struct value *value, const char *text, size_t length)
{
	value->set = true;
	value->s.ptr = text;
	value->s.len = length;
}

static void set_time(struct value *value, int64_t micros)
{
	value->set = true;
	value->i = micros;
}

static int new_uuid(struct call *call, struct value *value)
{
	char *text = arena_alloc(&call->arena, UUID_TEXT);

	if (text == NULL)
		return execute_out_of_memory(call);
	uuid_new(text);
	execute_set_text(value, text, UUID_TEXT);
	return 0;
}

static int new_token(struct call *call, struct value *value)
{
	unsigned char bytes[32];
	char *text = arena_alloc(&call->arena, 44);

	if (text == NULL)
		return execute_out_of_memory(call);
	randombytes_buf(bytes, sizeof bytes);
	sodium_bin2base64(text, 44, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(bytes, sizeof bytes);
	execute_set_text(value, text, 43);
	return 0;
}

static int find_sealed(struct call *call, struct value *sealed[2])
{
	unsigned found = 0;

	for (unsigned i = 0; i < call->method->bind_count && found < 2; i++)
		if (call->method->binds[i].type == TYPE_SEALED)
			sealed[found++] = &call->values[i];
	return found == 2 ? 0 : execute_fail(call, ERR_INTERNAL, "a token has two texts");
}

/* Replaces the method's two SEALED parameters by their sealed texts; the nonce goes into its own
 * bind parameter. */
static int seal_parameters(struct call *call, struct seal *seal, struct value *nonce)
{
	struct binding_owner owner;
	struct value *sealed[2];
	const char *out[3];
	size_t length[3];

	binding_own_call(&owner, call->method, call->values);
	if (find_sealed(call, sealed) < 0 ||
		seal_token(seal, &owner, &call->arena, sealed[0]->s.ptr, sealed[0]->s.len,
			sealed[1]->s.ptr, sealed[1]->s.len, out, length, &call->err) < 0)
		return -1;
	execute_set_text(sealed[0], out[0], length[0]);
	execute_set_text(sealed[1], out[1], length[1]);
	execute_set_text(nonce, out[2], length[2]);
	return 0;
}

/* The same for parameters that are sealed already. */
static int seal_parameters_again(struct call *call, struct seal *seal, struct value *nonce)
{
	struct binding_owner owner;
	struct value *sealed[2];

	binding_own_call(&owner, call->method, call->values);
	if (find_sealed(call, sealed) < 0)
		return -1;
	for (int part = 0; part < 2; part++) {
		const char *plain;
		size_t length;

		if (seal_open(seal, &owner, &call->arena, sealed[part]->s.ptr, sealed[part]->s.len,
			    nonce->s.ptr, nonce->s.len, part, &plain, &length, &call->err) < 0)
			return -1;
		execute_set_text(sealed[part], plain, length);
	}
	return seal_parameters(call, seal, nonce);
}

bool execute_token_value(
	struct arena *arena, enum compute compute, const struct value *token, struct value *value)
{
	char *hash;

	*value = *token;
	if (!token->set ||
		(compute == COMPUTE_TOKEN_UNHASHED && !binding_is_hash(token->s.ptr, token->s.len)))
		return true;
	value->set = compute == COMPUTE_TOKEN_HASHED;
	if (!value->set)
		return true;
	hash = arena_alloc(arena, BINDING_HASH_LENGTH + 1);
	if (hash == NULL)
		return false;
	binding_hash(token->s.ptr, token->s.len, hash);
	execute_set_text(value, hash, BINDING_HASH_LENGTH);
	return true;
}

static int stored_token(
	struct call *call, const struct seal *seal, const struct value *token, struct value *value)
{
	if (seal_format(seal) == BINDING_NONE)
		*value = *token;
	else if (!execute_token_value(&call->arena, COMPUTE_TOKEN_HASHED, token, value))
		return execute_out_of_memory(call);
	return 0;
}

static int prepare_members(struct call *call, struct seal *seal)
{
	for (unsigned i = 0; i < call->member_count; i++) {
		if (execute_prepare(&call->members[i], seal) < 0) {
			call->err = call->members[i].err;
			call->err.index = i + 1;
			return -1;
		}
	}
	return 0;
}

/* A value that no caller sends. */
static int compute_value(struct call *call, struct seal *seal, const struct bind_param *bind,
	const struct value *source, struct value *value)
{
	switch ((enum compute)bind->compute) {
	case COMPUTE_NONE:
		break;
	case COMPUTE_NOW:
		set_time(value, call->now);
		break;
	case COMPUTE_NEW_UUID:
		return new_uuid(call, value);
	case COMPUTE_NEW_TOKEN:
		return new_token(call, value);
	case COMPUTE_MONTH_START:
		set_time(value, timestamp_month_start(call->now));
		break;
	case COMPUTE_DAYS_START:
		set_time(value, timestamp_day_start(call->now) - source->i * 24 * hour_us);
		break;
	case COMPUTE_HOURS_AHEAD:
		set_time(value, call->now + source->i * hour_us);
		break;
	case COMPUTE_SECONDS_AHEAD:
		set_time(value, call->now + source->i * 1000000);
		break;
	case COMPUTE_NONCE:
		return seal_parameters(call, seal, value);
	case COMPUTE_STORED_TOKEN:
		return stored_token(call, seal, source, value);
	case COMPUTE_TOKEN_HASHED:
	case COMPUTE_TOKEN_UNHASHED:
		if (bind->source >= call->method->row_binds &&
			!execute_token_value(
				&call->arena, (enum compute)bind->compute, source, value))
			return execute_out_of_memory(call);
		break;
	case COMPUTE_AWKWARD:
		if (source->set && (source->flags & VALUE_AWKWARD) != 0)
			*value = *source;
		break;
	}
	return 0;
}

int execute_prepare(struct call *call, struct seal *seal)
{
	const struct method *method = call->method;

	call->format = (uint8_t)seal_format(seal);
	for (unsigned i = 0; i < method->bind_count; i++) {
		const struct bind_param *bind = &method->binds[i];
		const struct value *source = bind->source >= 0 ? &call->values[bind->source] : NULL;

		if (bind->compute != COMPUTE_NONE &&
			compute_value(call, seal, bind, source, &call->values[i]) < 0)
			return -1;
	}
	return method->impl == IMPL_TRANSACTION ? prepare_members(call, seal) : 0;
}

int execute_follow_format(struct call *call, struct seal *seal)
{
	const struct method *method = call->method;

	call->format = (uint8_t)seal_format(seal);
	for (unsigned i = 0; method->impl == IMPL_TRANSACTION && i < call->member_count; i++)
		if (execute_follow_format(&call->members[i], seal) < 0) {
			call->err = call->members[i].err;
			call->err.index = i + 1;
			return -1;
		}
	for (unsigned i = 0; i < method->bind_count; i++) {
		const struct bind_param *bind = &method->binds[i];
		int result = 0;

		if (bind->compute == COMPUTE_NONCE)
			result = seal_parameters_again(call, seal, &call->values[i]);
		else if (bind->compute == COMPUTE_STORED_TOKEN)
			result = stored_token(
				call, seal, &call->values[bind->source], &call->values[i]);
		if (result < 0)
			return -1;
	}
	return 0;
}

bool execute_admit(struct call *call)
{
	const struct method *method = call->method;
	const struct order *order = call->order;

	if (method == NULL || order == NULL)
		return true;
	if (order->client != NULL)
		order = order->client;
	if (!method_may_write(method) && atomic_load_explicit(&order->gone, memory_order_relaxed)) {
		(void)execute_fail(call, ERR_UNAVAILABLE, "the client has disconnected");
		call->dropped = true;
		return false;
	}
	if (atomic_load_explicit(&order->role, memory_order_relaxed) >= method->role)
		return true;
	(void)execute_fail(call, ERR_PERMISSION_DENIED,
		"the role that %s needs was taken from this peer while the call waited",
		method->name);
	call->err.outcome = OUTCOME_NONE;
	return false;
}

int execute_begin(struct call *call)
{
	call->rows = 0;
	if (call->method->answer == ANSWER_LIST)
		buffer_byte(&call->answer, '[');
	return 0;
}

/* On its own: otherwise the owner would be cleared for each row. */
__attribute__((noinline)) static int open_token(
	struct call *call, struct seal *seal, struct value *columns, const struct value *nonce)
{
	const struct row_schema *row_schema = call->method->row_schema;
	struct binding_owner owner;
	int part = 0;

	binding_own_call(&owner, call->method, call->values);
	for (unsigned i = 0; i < row_schema->column_count; i++) {
		const char *plain;
		size_t length;

		if (row_schema->columns[i].type != TYPE_SEALED)
			continue;
		if (!nonce->set || !columns[i].set)
			return execute_fail(
				call, ERR_INTERNAL, "a token without its nonce was read");
		if (seal_open(seal, &owner, &call->arena, columns[i].s.ptr, columns[i].s.len,
			    nonce->s.ptr, nonce->s.len, part++, &plain, &length, &call->err) < 0) {
			buffer_cut(&call->answer, call->answer_start);
			return -1;
		}
		execute_set_text(&columns[i], plain, length);
	}
	return 0;
}

/* Opens the row's sealed columns in place. The access token is the first sealed column. A row
 * without a token has no nonce. */
static int open_columns(struct call *call, struct seal *seal, struct value *columns)
{
	const struct row_schema *row_schema = call->method->row_schema;
	const struct value *nonce = NULL;

	for (unsigned i = 0; i < row_schema->column_count; i++)
		if (row_schema->columns[i].type == TYPE_NONCE &&
			(columns[i].set || !row_schema->columns[i].nullable))
			nonce = &columns[i];
	return nonce != NULL ? open_token(call, seal, columns, nonce) : 0;
}

static const char *table_of(const struct method *method)
{
	return method->table != NULL ? method->table : "the database";
}

/* At most BAD_ROW_ID_MAX bytes, cut between characters. */
static size_t bounded_id(const char *id, size_t length)
{
	if (length > BAD_ROW_ID_MAX)
		for (length = BAD_ROW_ID_MAX; ((unsigned char)id[length] & 0xC0) == 0x80;)
			length--;
	return length;
}

int execute_bad_value(struct call *call, const char *id, size_t length, const char *column)
{
	if (length == 0 || !utf8_valid(id, length))
		return execute_fail(call, ERR_STORAGE, "a row of %s: the stored %s is invalid",
			table_of(call->method), column);
	return execute_fail(call, ERR_STORAGE, "row \"%.*s\" of %s: the stored %s is invalid",
		(int)bounded_id(id, length), id, table_of(call->method), column);
}

/* Identifies a row without an id by its owner, never by an e-mail address, name or token. */
static const struct value *owner_of(const struct call *call, const char **name)
{
	static const char *const owners[] = {
		"user_id", "api_key_id", "client_id", "goal_id", "task_id"};
	const struct method *method = call->method;

	for (unsigned i = 0; i < method->bind_count; i++)
		for (size_t k = 0; k < sizeof owners / sizeof owners[0]; k++)
			if (strcmp(method->binds[i].name, owners[k]) == 0 && call->values[i].set) {
				*name = owners[k];
				return &call->values[i];
			}
	return NULL;
}

/* Whether the row says that the list does not hold the one behind which the page begins. */
static bool execute_lacks_place(const struct call *call, const struct value *columns)
{
	const struct method *method = call->method;

	if (method->after_bind < 0 || !call->values[method->after_bind].set)
		return false;
	for (unsigned i = 0; i < method->row_schema->column_count; i++)
		if (columns[i].set)
			return false;
	return true;
}

static int execute_no_place(struct call *call)
{
	const char *name = call->method->binds[call->method->after_bind].name;

	(void)execute_fail(
		call, ERR_NOT_FOUND, "the list has no row with the id given as %s", name);
	(void)snprintf(call->err.path, sizeof call->err.path, "%s", name);
	return -1;
}

/* "id", or the id of a member: "api_key.id". */
static bool names_row(const struct column *column)
{
	const char *dot = strrchr(column->name, '.');

	return strcmp(dot != NULL ? dot + 1 : column->name, "id") == 0 &&
		(column->type == TYPE_UUID || column->type == TYPE_STRING);
}

int execute_bad_row(struct call *call, const struct value *columns, const char *column)
{
	const struct method *method = call->method;
	const struct value *id = NULL;
	const char *name = "";

	if (columns != NULL && execute_lacks_place(call, columns))
		return execute_no_place(call);
	for (unsigned i = 0; columns != NULL && i < method->row_schema->column_count; i++)
		if (columns[i].set && names_row(&method->row_schema->columns[i]))
			id = &columns[i];
	if (id != NULL)
		return execute_bad_value(call, id->s.ptr, id->s.len, column);
	id = owner_of(call, &name);
	if (id == NULL)
		return execute_bad_value(call, "", 0, column);
	return execute_fail(call, ERR_STORAGE,
		"a row of %s with the %s \"%.*s\": the stored %s is invalid", table_of(method),
		name, (int)bounded_id(id->s.ptr, id->s.len), id->s.ptr, column);
}

/* Keeps what the password check needs after the row is gone. */
static int keep_hash(struct call *call, const struct value *columns)
{
	const struct value *hash = &columns[call->method->hash_column];

	if (!hash->set)
		return 0;
	call->kept = arena_copy(&call->arena, hash->s.ptr, hash->s.len);
	return call->kept != NULL ? 0 : execute_out_of_memory(call);
}

static int check_buffer(struct call *call)
{
	if (call->answer.failure == BUFFER_OK)
		return 0;
	if (call->answer.failure == BUFFER_OVER_CAP)
		return execute_fail(call, ERR_TOO_LARGE,
			"the answer is larger than the limit of %zu bytes", call->answer.cap);
	return execute_out_of_memory(call);
}

int execute_row(struct call *call, struct seal *seal, struct value *columns)
{
	struct arena scratch;
	int result;

	if (call->rows > 0) {
		if (call->method->answer != ANSWER_LIST)
			return execute_fail(call, ERR_INTERNAL,
				"the database gave several rows where one was expected");
		buffer_byte(&call->answer, ',');
	}
	call->rows++;
	if (open_columns(call, seal, columns) < 0)
		return -1;
	if (call->method->impl == IMPL_VERIFY_PASSWORD && keep_hash(call, columns) < 0)
		return -1;
	arena_init(&scratch); /* allocates nothing before its first use */
	result = encode_row(&call->answer, call->method->row_schema, columns, &scratch, &call->err);
	arena_free(&scratch);
	if (result < 0 && call->err.kind == ERR_STORAGE)
		return execute_bad_row(
			call, columns, call->err.field[0] != '\0' ? call->err.field : "document");
	if (result < 0) {
		buffer_cut(&call->answer, call->answer_start);
		return -1;
	}
	return check_buffer(call);
}

int execute_end(struct call *call, uint64_t touched)
{
	switch ((enum answer)call->method->answer) {
	case ANSWER_NONE:
		if (touched == 0)
			return execute_no_row(call);
		buffer_text(&call->answer, "null");
		call->rows = (uint32_t)touched;
		break;
	case ANSWER_COUNT:
		json_write_integer(&call->answer, (int64_t)touched);
		call->rows = (uint32_t)touched;
		break;
	case ANSWER_ROW:
		if (call->rows == 0)
			return execute_no_row(call);
		break;
	case ANSWER_OPTIONAL:
		if (call->rows == 0)
			buffer_text(&call->answer, "null");
		break;
	case ANSWER_LIST:
		buffer_byte(&call->answer, ']');
		break;
	}
	return check_buffer(call);
}

void execute_restart(struct call *call)
{
	for (unsigned i = 0; call->method->impl == IMPL_TRANSACTION && i < call->member_count; i++)
		execute_restart(&call->members[i]);
	call->rows = 0;
	call->kept = NULL;
	call->err.kind = ERR_NONE;
	buffer_cut(&call->answer, call->answer_start);
}

int execute_fail(struct call *call, enum err_kind kind, const char *format, ...)
{
	char message[ERR_MESSAGE_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	buffer_cut(&call->answer, call->answer_start);
	return err_set(&call->err, kind, "%s", message);
}

static const struct conflict *conflict_named(const struct method *method, const char *key)
{
	for (unsigned i = 0; i < method->conflict_count; i++)
		for (unsigned backend = 0; backend < BACKEND_COUNT; backend++)
			if (strcmp(method->conflicts[i].names[backend], key) == 0)
				return &method->conflicts[i];
	return NULL;
}

int execute_conflict(struct call *call, const char *key)
{
	const struct conflict *conflict = conflict_named(call->method, key);
	const struct bind_param *bind;
	const struct value *value;

	if (conflict == NULL)
		return execute_fail(call, ERR_INTERNAL,
			"%s violated a unique key that no caller sets", call->method->name);
	bind = &call->method->binds[conflict->bind];
	value = &call->values[conflict->bind];
	if (value->set && (bind->type == TYPE_STRING || bind->type == TYPE_UUID))
		(void)execute_fail(call, ERR_CONFLICT, "%s \"%.*s%s\" is already taken", bind->name,
			(int)(value->s.len > 100 ? 100 : value->s.len), value->s.ptr,
			value->s.len > 100 ? "…" : "");
	else
		(void)execute_fail(call, ERR_CONFLICT, "%s is already taken", bind->name);
	(void)snprintf(call->err.field, sizeof call->err.field, "%s", bind->name);
	return -1;
}

int execute_unexpected(struct call *call)
{
	const char *guard = call->method->guard;

	if (guard == NULL)
		return execute_fail(
			call, ERR_INTERNAL, "%s expects nothing of its row", call->method->name);
	(void)execute_fail(call, ERR_CONFLICT, "the stored %s is not the expected one", guard);
	(void)snprintf(call->err.field, sizeof call->err.field, "%s", guard);
	return -1;
}

int execute_no_row(struct call *call)
{
	const struct method *method = call->method;
	const struct value *value =
		method->subject_bind >= 0 ? &call->values[method->subject_bind] : NULL;

	if (value != NULL && value->set &&
		method->binds[method->subject_bind].type != TYPE_TIMESTAMP)
		return execute_fail(call, ERR_NOT_FOUND, "no row has the %s \"%.*s%s\"",
			method->subject, (int)(value->s.len > 100 ? 100 : value->s.len),
			value->s.ptr, value->s.len > 100 ? "…" : "");
	return execute_fail(call, ERR_NOT_FOUND, "no row has the given %s",
		method->subject != NULL ? method->subject : "key");
}

uint32_t execute_row_count(const struct call *call)
{
	return (uint32_t)call->values[call->method->row_binds].s.len;
}

int execute_load_row(struct call *call, uint32_t row)
{
	const struct method *method = call->method;
	const unsigned width = method->row_binds;
	const struct value *rows = (const void *)call->values[width].s.ptr;

	memcpy(call->values, &rows[(size_t)row * width], width * sizeof *rows);
	for (unsigned i = width; i < method->bind_count; i++) {
		const struct bind_param *bind = &method->binds[i];

		if ((bind->compute == COMPUTE_TOKEN_HASHED ||
			    bind->compute == COMPUTE_TOKEN_UNHASHED) &&
			!execute_token_value(&call->arena, (enum compute)bind->compute,
				&call->values[bind->source], &call->values[i]))
			return execute_out_of_memory(call);
	}
	return 0;
}

int execute_no_parent(struct call *call, uint32_t row, const char *member)
{
	const struct field *rows = &call->method->params[0];
	char path[ERR_PATH_MAX];

	for (unsigned i = 0; i < rows->member_count && member == NULL; i++)
		if (rows->members[i].bind >= 0)
			member = rows->members[i].name;
	(void)snprintf(path, sizeof path, "%s[%u].%s", rows->name, (unsigned)row, member);
	(void)execute_fail(call, ERR_NOT_FOUND, "no row has the %s given as %s", member, path);
	(void)snprintf(call->err.path, sizeof call->err.path, "%s", path);
	return -1;
}
