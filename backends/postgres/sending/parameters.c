/* Bind parameters in libpq's form: text and binary values, and arrays in their binary form. */
#include "parameters.h"

#include <stdio.h>
#include <string.h>

#include "../../../protocol/value.h"
#include "../../execute.h"
#include "../pg_store.h"
#include "../result.h"

/* The planner assumes ten keys for an array of unknown length, and keeps the plan only while it is
 * no more expensive than estimated. NULL keys match nothing and cost nothing. */
enum { KEYS_MIN = 12, OID_UUID_KEY = 2950, OID_TEXT_KEY = 25 };

static void put_big_endian(char *bytes, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		bytes[i] = (char)(value & 0xFF);
}

static int hex(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Binary where that saves a copy or a conversion. Text values go as binary: they have no NUL
 * terminator. */
static bool set_parameter(struct arena *arena, struct parameters *to, unsigned i,
	const struct bind_param *bind, const struct value *value)
{
	char *room = to->room[i], *copy;
	uint64_t bits;

	to->values[i] = room;
	to->formats[i] = 1;
	to->lengths[i] = 8;
	if (!value->set) {
		to->values[i] = NULL;
		return true;
	}
	switch ((enum type)bind->type) {
	case TYPE_BOOL:
		room[0] = (char)(value->i != 0);
		to->lengths[i] = 1;
		break;
	case TYPE_U16:
	case TYPE_U32:
	case TYPE_I64:
		to->formats[i] = 0;
		(void)snprintf(room, sizeof to->room[i], "%lld", (long long)value->i);
		break;
	case TYPE_F64:
		memcpy(&bits, &value->f, 8);
		put_big_endian(room, bits);
		break;
	case TYPE_TIMESTAMP:
		put_big_endian(room, (uint64_t)(value->i - POSTGRES_EPOCH));
		break;
	case TYPE_UUID:
		for (size_t from = 0, at = 0; at < 16; from += 2) {
			from += value->s.ptr[from] == '-';
			room[at++] =
				(char)(hex(value->s.ptr[from]) << 4 | hex(value->s.ptr[from + 1]));
		}
		to->lengths[i] = 16;
		break;
	case TYPE_DOCUMENT:
	case TYPE_JSON:
	case TYPE_STRINGS: /* jsonb: a version byte, then the text */
		copy = arena_alloc(arena, value->s.len + 1);
		if (copy == NULL)
			return false;
		copy[0] = 1;
		memcpy(copy + 1, value->s.ptr, value->s.len);
		to->values[i] = copy;
		to->lengths[i] = (int)value->s.len + 1;
		break;
	case TYPE_IP: /* a text that is not an address goes into its own column (COMPUTE_AWKWARD) */
		if ((value->flags & VALUE_AWKWARD) != 0) {
			to->values[i] = NULL;
			return true;
		}
		to->formats[i] = 0;
		to->values[i] = arena_copy(arena, value->s.ptr, value->s.len);
		return to->values[i] != NULL;
	default:
		to->values[i] = value->s.ptr;
		to->lengths[i] = (int)value->s.len;
		break;
	}
	return true;
}

static void put_int(struct buffer *to, uint32_t value)
{
	const char bytes[] = {
		(char)(value >> 24), (char)(value >> 16), (char)(value >> 8), (char)value};

	buffer_append(to, bytes, sizeof bytes);
}

/* The beginning of an array's binary form; its elements follow. */
static void put_array_head(struct buffer *to, bool nulls, uint32_t oid, uint32_t count)
{
	put_int(to, 1); /* dimensions */
	put_int(to, nulls);
	put_int(to, oid);
	put_int(to, count);
	put_int(to, 1); /* the first one's number */
}

/* The element type of an array of such values. */
static uint32_t array_oid(enum type type)
{
	switch (type) {
	case TYPE_BOOL:
		return 16;
	case TYPE_U16:
		return 23;
	case TYPE_U32:
	case TYPE_I64:
		return 20;
	case TYPE_F64:
		return 701;
	case TYPE_TIMESTAMP:
		return 1184;
	case TYPE_UUID:
		return OID_UUID_KEY;
	case TYPE_STRINGS:
	case TYPE_DOCUMENT:
	case TYPE_JSON:
		return 3802;
	default:
		return OID_TEXT_KEY;
	}
}

static bool put_element(struct postgres_store *store, const struct bind_param *bind,
	const struct value *value, struct buffer *to)
{
	struct parameters one;
	uint64_t number = (uint64_t)value->i;

	if (!value->set) {
		put_int(to, UINT32_MAX);
		return true;
	}
	switch ((enum type)bind->type) {
	case TYPE_U16:
		put_int(to, 4);
		put_int(to, (uint32_t)number);
		return true;
	case TYPE_U32:
	case TYPE_I64:
		put_int(to, 8);
		put_int(to, (uint32_t)(number >> 32));
		put_int(to, (uint32_t)number);
		return true;
	case TYPE_IP: /* as text */
		put_int(to, (uint32_t)value->s.len);
		buffer_append(to, value->s.ptr, value->s.len);
		return true;
	default:
		break;
	}
	if (!set_parameter(&store->sending, &one, 0, bind, value))
		return false;
	put_int(to, (uint32_t)one.lengths[0]);
	buffer_append(to, one.values[0], (size_t)one.lengths[0]);
	return true;
}

/* A text beside an address is NULL where the address is one, and the other way round. */
static struct value element_of(
	const struct bind_param *bind, const struct value *row, unsigned number)
{
	struct value value = bind->compute != COMPUTE_NONE ? row[bind->source] : row[number];

	if ((bind->compute == COMPUTE_AWKWARD && (value.flags & VALUE_AWKWARD) == 0) ||
		(bind->compute == COMPUTE_NONE && bind->type == TYPE_IP &&
			(value.flags & VALUE_AWKWARD) != 0))
		value.set = false;
	return value;
}

/* Appends one bind parameter's values of all rows, in the binary form of an array. */
static bool put_column(struct postgres_store *store, const struct call *call, unsigned number)
{
	const struct bind_param *bind = &call->method->binds[number];
	const unsigned width = call->method->row_binds;
	const struct value *rows = (const void *)call->values[width].s.ptr;
	uint32_t count = execute_row_count(call);

	put_array_head(&store->keys, true, array_oid((enum type)bind->type), count);
	for (uint32_t row = 0; row < count; row++) {
		struct value value = element_of(bind, &rows[(size_t)row * width], number);

		if (bind->compute >= COMPUTE_TOKEN_HASHED &&
			bind->compute <= COMPUTE_TOKEN_UNHASHED) {
			const struct value token = value;

			if (!execute_token_value(
				    &store->sending, (enum compute)bind->compute, &token, &value))
				return false;
		}
		if (!put_element(store, bind, &value, &store->keys))
			return false;
	}
	return store->keys.failure == BUFFER_OK;
}

static bool holds_row(const struct method *method, unsigned number)
{
	const struct bind_param *bind = &method->binds[number];

	return number < method->row_binds ||
		(bind->compute != COMPUTE_NONE && bind->source >= 0 &&
			bind->source < method->row_binds);
}

/* The parameters of a statement for many rows: an array for each that has a value in each row. */
static bool set_columns(
	struct postgres_store *store, const struct call *call, struct parameters *to)
{
	const struct statement *statement = &call->method->statements[BACKEND_POSTGRES];
	size_t starts[CATALOG_MAX_VALUES];

	buffer_cut(&store->keys, 0);
	for (unsigned i = 0; i < statement->bind_count; i++) {
		unsigned number = statement->binds[i];

		starts[i] = store->keys.length;
		if (holds_row(call->method, number)
				? !put_column(store, call, number)
				: !set_parameter(&store->sending, to, i,
					  &call->method->binds[number], &call->values[number]))
			return false;
		to->lengths[i] = holds_row(call->method, number)
			? (int)(store->keys.length - starts[i])
			: to->lengths[i];
	}
	for (unsigned i = 0; i < statement->bind_count; i++)
		if (holds_row(call->method, statement->binds[i])) {
			to->values[i] = store->keys.data + starts[i];
			to->formats[i] = 1;
		}
	return true;
}

bool parameters_set(struct postgres_store *store, const struct call *call, struct parameters *to)
{
	const struct statement *statement = &call->method->statements[BACKEND_POSTGRES];

	if (call->method->row_binds > 0)
		return set_columns(store, call, to);
	for (unsigned i = 0; i < statement->bind_count; i++) {
		unsigned number = statement->binds[i];

		if (!set_parameter(&store->sending, to, i, &call->method->binds[number],
			    &call->values[number]))
			return false;
	}
	return true;
}

bool parameters_set_keys(struct postgres_store *store, struct call *const *calls, unsigned count,
	struct parameters *to)
{
	const struct method *method = calls[0]->method;
	unsigned number = method->statements[BACKEND_POSTGRES].binds[0],
		 places = count < KEYS_MIN ? KEYS_MIN : count;
	const struct bind_param *bind = &method->binds[number];
	struct buffer *keys = &store->keys;
	struct parameters one;

	buffer_cut(keys, 0);
	put_array_head(keys, places > count, bind->type == TYPE_UUID ? OID_UUID_KEY : OID_TEXT_KEY,
		places);
	for (unsigned i = 0; i < count; i++) {
		if (!set_parameter(&store->sending, &one, 0, bind, &calls[i]->values[number]))
			return false;
		put_int(keys, (uint32_t)one.lengths[0]);
		buffer_append(keys, one.values[0], (size_t)one.lengths[0]);
	}
	for (; count < places; count++)
		put_int(keys, UINT32_MAX);
	to->values[0] = keys->data;
	to->lengths[0] = (int)keys->length;
	to->formats[0] = 1;
	return keys->failure == BUFFER_OK;
}
