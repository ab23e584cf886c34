/* Which calls may be reordered, and the order in which all daemons take row locks. Both follow from
 * the table uses that the generator finds in a method's statement. */
#include "commute.h"

#include <string.h>

static const struct statement *commute_statement_of(const struct call *call)
{
	return &call->method->statements[BACKEND_POSTGRES];
}

static int compare_texts(const struct value *left, const struct value *right)
{
	size_t left_length = left->set ? left->s.len : 0,
	       right_length = right->set ? right->s.len : 0;
	size_t common = left_length < right_length ? left_length : right_length;
	int difference = common > 0 ? memcmp(left->s.ptr, right->s.ptr, common) : 0;

	return difference != 0 ? difference
			       : (left_length > right_length) - (left_length < right_length);
}

/* Compares like PostgreSQL: texts by bytes, UUIDs as their texts, numbers by value. */
static int compare_values(const struct call *a, int a_bind, const struct call *b, int b_bind)
{
	const struct value *left = &a->values[a_bind], *right = &b->values[b_bind];
	enum type type = (enum type)a->method->binds[a_bind].type;

	if (type == TYPE_U16 || type == TYPE_U32 || type == TYPE_I64)
		return (left->i > right->i) - (left->i < right->i);
	return compare_texts(left, right);
}

static bool is_lock_bind(const struct statement *statement, int bind)
{
	return bind == statement->lock_binds[0] || bind == statement->lock_binds[1];
}

static bool same_value(const struct call *a, const struct call *b, int bind)
{
	return a->values[bind].set == b->values[bind].set && compare_values(a, bind, b, bind) == 0;
}

/* A NULL is equal to nothing. */
static bool same_key(
	const struct call *a, const int8_t *a_binds, const struct call *b, const int8_t *b_binds)
{
	for (int i = 0; i < 2 && a_binds[i] >= 0; i++)
		if (!a->values[a_binds[i]].set || compare_values(a, a_binds[i], b, b_binds[i]) != 0)
			return false;
	return true;
}

/* Two uses of one table, at least one of them a change. Rows that differ in a unique key are
 * different rows; two added rows may still collide in another key. */
static bool use_conflicts(const struct call *a, const struct table_use *left, const struct call *b,
	const struct table_use *right)
{
	bool differ = false, equal = false;

	for (int i = 0; i < left->key_count; i++)
		for (int k = 0; k < right->key_count; k++) {
			if (left->keys[i] != right->keys[k])
				continue;
			if (same_key(a, left->binds[i], b, right->binds[k]))
				equal = true;
			else
				differ = true;
		}
	if (left->mode == USE_INSERT && right->mode == USE_INSERT)
		return equal || !differ;
	return !differ;
}

bool commute_shares_tables(const struct call *call, uint32_t reads, uint32_t writes)
{
	const struct statement *statement = commute_statement_of(call);

	return ((statement->writes & (reads | writes)) | (statement->reads & writes)) != 0;
}

bool commute_alike(const struct call *a, const struct call *b)
{
	const struct statement *statement = commute_statement_of(a);

	if (a->method != b->method)
		return false;
	for (int i = 0; i < 2 && statement->lock_binds[i] >= 0; i++)
		if (!same_value(a, b, statement->lock_binds[i]))
			return false;
	for (const struct table_use *use = statement->uses, *end = use + statement->use_count;
		use < end; use++)
		for (int k = 0; k < use->key_count; k++)
			for (int i = 0; i < 2 && use->binds[k][i] >= 0; i++)
				if (!is_lock_bind(statement, use->binds[k][i]) &&
					!same_value(a, b, use->binds[k][i]))
					return false;
	return true;
}

void commute_add_tables(const struct call *call, uint32_t *reads, uint32_t *writes)
{
	*reads |= commute_statement_of(call)->reads;
	*writes |= commute_statement_of(call)->writes;
}

bool commute_conflicts(const struct call *a, const struct call *b)
{
	const struct statement *left = commute_statement_of(a), *right = commute_statement_of(b);

	if (!commute_shares_tables(b, left->reads, left->writes))
		return false;
	for (unsigned i = 0; i < left->use_count; i++)
		for (unsigned k = 0; k < right->use_count; k++) {
			const struct table_use *one = &left->uses[i], *other = &right->uses[k];

			if (one->table == other->table &&
				(one->mode != USE_READ || other->mode != USE_READ) &&
				use_conflicts(a, one, b, other))
				return true;
		}
	return false;
}

int commute_compare(const struct call *a, const struct call *b)
{
	const struct statement *left = commute_statement_of(a), *right = commute_statement_of(b);

	if (left->rank != right->rank)
		return left->rank < right->rank ? -1 : 1;
	for (int i = 0; i < 2 && left->lock_binds[i] >= 0; i++) {
		int difference = compare_values(a, left->lock_binds[i], b, right->lock_binds[i]);

		if (difference != 0)
			return difference;
	}
	return 0;
}

enum lock commute_lock(const struct call *call)
{
	return call->method != NULL ? (enum lock)commute_statement_of(call)->lock : LOCK_NONE;
}

bool commute_changes_rows(const struct call *call)
{
	return commute_lock(call) != LOCK_NONE && commute_statement_of(call)->rank % 2 == 0;
}
