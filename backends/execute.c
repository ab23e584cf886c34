#include "execute.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "../protocol/encode.h"
#include "../protocol/json/json.h"

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

/* Replaces the method's two SEALED parameters by their sealed texts; the nonce goes into its own
 * bind parameter. */
static int seal_parameters(struct call *call, struct seal *seal, struct value *nonce)
{
	struct value *sealed[2];
	unsigned found = 0;
	const char *out[3];
	size_t length[3];

	for (unsigned i = 0; i < call->method->bind_count && found < 2; i++)
		if (call->method->binds[i].type == TYPE_SEALED)
			sealed[found++] = &call->values[i];
	if (found != 2)
		return execute_fail(call, ERR_INTERNAL, "a token has two texts");
	if (seal_token(seal, &call->arena, sealed[0]->s.ptr, sealed[0]->s.len, sealed[1]->s.ptr,
		    sealed[1]->s.len, out, length, &call->err) < 0)
		return -1;
	execute_set_text(sealed[0], out[0], length[0]);
	execute_set_text(sealed[1], out[1], length[1]);
	execute_set_text(nonce, out[2], length[2]);
	return 0;
}

int execute_prepare(struct call *call, struct seal *seal)
{
	const struct method *method = call->method;

	for (unsigned i = 0; i < method->bind_count; i++) {
		const struct bind_param *bind = &method->binds[i];
		struct value *value = &call->values[i];
		const struct value *source = bind->source >= 0 ? &call->values[bind->source] : NULL;

		switch ((enum compute)bind->compute) {
		case COMPUTE_NONE:
			break;
		case COMPUTE_NOW:
			set_time(value, call->now);
			break;
		case COMPUTE_NEW_UUID:
			if (new_uuid(call, value) < 0)
				return -1;
			break;
		case COMPUTE_NEW_TOKEN:
			if (new_token(call, value) < 0)
				return -1;
			break;
		case COMPUTE_MONTH_START:
			set_time(value, timestamp_month_start(call->now));
			break;
		case COMPUTE_DAYS_START:
			set_time(value, timestamp_day_start(call->now) - source->i * 24 * hour_us);
			break;
		case COMPUTE_HOURS_AHEAD:
			set_time(value, call->now + source->i * hour_us);
			break;
		case COMPUTE_NONCE:
			if (seal_parameters(call, seal, value) < 0)
				return -1;
			break;
		case COMPUTE_AWKWARD:
			if (source->set && (source->flags & VALUE_AWKWARD) != 0)
				*value = *source;
			break;
		}
	}
	return 0;
}

bool execute_admit(struct call *call)
{
	const struct method *method = call->method;
	const struct order *order = call->order;

	if (method == NULL || order == NULL)
		return true;
	if (!method->write && atomic_load_explicit(&order->gone, memory_order_relaxed)) {
		(void)execute_fail(call, ERR_UNAVAILABLE, "the client is gone");
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

/* Opens the row's sealed columns in place. In the order of the columns the first sealed one is the
 * access token. */
static int open_columns(struct call *call, struct seal *seal, struct value *columns)
{
	const struct row_schema *row_schema = call->method->row_schema;
	const struct value *nonce = NULL;
	int part = 0;

	for (unsigned i = 0; i < row_schema->column_count; i++)
		if (row_schema->columns[i].type == TYPE_NONCE)
			nonce = &columns[i];
	for (unsigned i = 0; nonce != NULL && i < row_schema->column_count; i++) {
		const char *plain;
		size_t length;

		if (row_schema->columns[i].type != TYPE_SEALED)
			continue;
		if (!nonce->set || !columns[i].set)
			return execute_fail(
				call, ERR_INTERNAL, "a token without its nonce was read");
		if (seal_open(seal, &call->arena, columns[i].s.ptr, columns[i].s.len, nonce->s.ptr,
			    nonce->s.len, part++, &plain, &length, &call->err) < 0) {
			buffer_cut(&call->answer, call->answer_start);
			return -1;
		}
		execute_set_text(&columns[i], plain, length);
	}
	return 0;
}

/* The table whose rows a row schema shows. */
static const char *table_of(const struct method *method)
{
	static const char *const tables[][2] = {
		{"User", "users"},
		{"Token", "users"},
		{"ApiKey", "api_keys"},
		{"RequestLog", "api_key_usage"},
		{"ApiKeyUsageStats", "api_key_usage"},
		{"ToolUsage", "api_key_usage"},
		{"Goal", "goals"},
		{"Insight", "analytics_insights"},
		{"A2AClient", "a2a_clients"},
		{"A2ASession", "a2a_sessions"},
		{"A2ATask", "a2a_tasks"},
		{"A2AUsageStats", "a2a_usage"},
		{"A2AUsageDay", "a2a_usage"},
	};

	for (size_t i = 0; method->row_schema != NULL && i < sizeof tables / sizeof tables[0]; i++)
		if (strcmp(tables[i][0], method->row_schema->name) == 0)
			return tables[i][1];
	return strstr(method->name, "profile") != NULL ? "user_profiles" : "the database";
}

int execute_bad_row(struct call *call, const struct value *columns, const char *column)
{
	const struct method *method = call->method;
	const struct value *id = NULL;

	for (unsigned i = 0; columns != NULL && i < method->row_schema->column_count; i++)
		if (strcmp(method->row_schema->columns[i].name, "id") == 0)
			id = &columns[i];
	/* A row without an id of its own is its user's. Never an e-mail address, a name or a token.
	 */
	for (unsigned i = 0; id == NULL && i < method->bind_count; i++)
		if (strcmp(method->binds[i].name, "user_id") == 0)
			id = &call->values[i];
	if (id == NULL || !id->set || !utf8_valid(id->s.ptr, id->s.len))
		return execute_fail(call, ERR_STORAGE,
			"a row of %s: the stored %s is not what it should be", table_of(method),
			column);
	return execute_fail(call, ERR_STORAGE,
		"row \"%.*s\" of %s: the stored %s is not what it should be",
		(int)(id->s.len > 100 ? 100 : id->s.len), id->s.ptr, table_of(method), column);
}

/* What the password check needs once the row is gone. */
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
	arena_init(&scratch); /* takes no memory before it is used */
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
		return execute_fail(call, ERR_INTERNAL, "%s met a key that no caller gives",
			call->method->name);
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
