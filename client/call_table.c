/* A hash table of unfinished calls. Numbers are consecutive, so that the number is its own hash. */
#include "call_table.h"

#include <stdlib.h>

#include "pending_call.h"

enum { FIRST_SIZE = 64 };

static bool call_table_grow(struct call_table *table)
{
	size_t size = table->size == 0 ? FIRST_SIZE : table->size * 2;
	struct pending_call **buckets = calloc(size, sizeof *buckets);

	if (buckets == NULL)
		return false;
	for (size_t i = 0; i < table->size; i++) {
		for (struct pending_call *call = table->buckets[i], *next; call != NULL;
			call = next) {
			struct pending_call **bucket = &buckets[(size_t)call->number & (size - 1)];

			next = call->next_in_bucket;
			call->next_in_bucket = *bucket;
			*bucket = call;
		}
	}
	free(table->buckets);
	table->buckets = buckets;
	table->size = size;
	return true;
}

bool call_table_add(struct call_table *table, struct pending_call *call)
{
	struct pending_call **bucket;

	if (table->count >= table->size && !call_table_grow(table))
		return false;
	bucket = &table->buckets[(size_t)call->number & (table->size - 1)];
	call->next_in_bucket = *bucket;
	*bucket = call;
	table->count++;
	return true;
}

struct pending_call *call_table_find(const struct call_table *table, int64_t number)
{
	struct pending_call *call;

	if (table->size == 0)
		return NULL;
	call = table->buckets[(size_t)number & (table->size - 1)];
	while (call != NULL && call->number != number)
		call = call->next_in_bucket;
	return call;
}

void call_table_remove(struct call_table *table, struct pending_call *call)
{
	struct pending_call **at = &table->buckets[(size_t)call->number & (table->size - 1)];

	while (*at != call)
		at = &(*at)->next_in_bucket;
	*at = call->next_in_bucket;
	table->count--;
}

void call_table_free(struct call_table *table)
{
	free(table->buckets);
	*table = (struct call_table){0};
}
