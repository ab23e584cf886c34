/* A table of unfinished calls by number. Thread: the handle's. */
#ifndef PIERRE_CLIENT_CALL_TABLE_H
#define PIERRE_CLIENT_CALL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pending_call;

struct call_table {
	struct pending_call **buckets;
	size_t size, count; /* size is a power of two, or 0 */
};

bool call_table_add(struct call_table *table, struct pending_call *call); /* false: out of memory */
struct pending_call *call_table_find(const struct call_table *table, int64_t number);
void call_table_remove(struct call_table *table, struct pending_call *call);
void call_table_free(struct call_table *table);

#endif
