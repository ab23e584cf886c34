#include "usage_sums.h"

#include <string.h>

#include "../session.h"

bool usage_sums_init(struct usage_sums *sums, size_t entries)
{
	size_t slots = 16;

	while (slots < 2 * entries)
		slots *= 2;
	*sums = (struct usage_sums){.mask = slots - 1};
	arena_init(&sums->arena);
	sums->slots = arena_calloc(&sums->arena, slots, sizeof *sums->slots);
	return sums->slots != NULL;
}

void usage_sums_free(struct usage_sums *sums)
{
	arena_free(&sums->arena);
	*sums = (struct usage_sums){0};
}

/* Eight bytes at a time; the multiplier is FNV's. */
static uint64_t usage_hash(uint64_t hash, const char *bytes, size_t length)
{
	const uint64_t prime = UINT64_C(1099511628211);
	uint64_t word;

	for (; length >= sizeof word; bytes += sizeof word, length -= sizeof word) {
		memcpy(&word, bytes, sizeof word);
		hash = (hash ^ word) * prime;
		hash ^= hash >> 32;
	}
	for (; length > 0; bytes++, length--)
		hash = (hash ^ (unsigned char)*bytes) * prime;
	return hash ^ hash >> 32;
}

static bool same_text(struct usage_text a, struct usage_text b)
{
	return a.length == b.length && a.blob == b.blob && memcmp(a.bytes, b.bytes, a.length) == 0;
}

static bool copy_text(struct arena *arena, struct usage_text *text)
{
	text->bytes = arena_copy(arena, text->bytes, text->length);
	return text->bytes != NULL;
}

struct usage_sums_entry *usage_sums_of(
	struct usage_sums *sums, struct usage_text parent, int64_t hour, struct usage_text tool)
{
	uint64_t hash = usage_hash(
		usage_hash((uint64_t)hour, parent.bytes, parent.length), tool.bytes, tool.length);
	size_t slot = hash & sums->mask;
	struct usage_sums_entry *entry;

	for (; (entry = sums->slots[slot]) != NULL; slot = (slot + 1) & sums->mask)
		if (entry->hash == hash && entry->hour == hour && same_text(entry->tool, tool) &&
			same_text(entry->parent, parent))
			return entry;
	entry = arena_calloc(&sums->arena, 1, sizeof *entry);
	if (entry == NULL || !copy_text(&sums->arena, &parent) || !copy_text(&sums->arena, &tool))
		return NULL;
	*entry = (struct usage_sums_entry){
		.next = sums->entries, .hash = hash, .parent = parent, .tool = tool, .hour = hour};
	sums->entries = entry;
	return sums->slots[slot] = entry;
}

struct usage_text usage_sums_column(sqlite3_stmt *statement, int column)
{
	struct usage_text text = {.blob = sqlite3_column_type(statement, column) == SQLITE_BLOB};

	text.bytes = text.blob ? sqlite3_column_blob(statement, column)
			       : (const char *)sqlite3_column_text(statement, column);
	text.length = (size_t)sqlite3_column_bytes(statement, column);
	if (text.bytes == NULL && text.blob && text.length == 0)
		text.bytes = "";
	return text;
}

static int sums_bind(sqlite3_stmt *statement, int place, struct usage_text text)
{
	return text.blob
		? sqlite3_bind_blob64(statement, place, text.bytes, text.length, SQLITE_STATIC)
		: sqlite3_bind_text64(
			  statement, place, text.bytes, text.length, SQLITE_STATIC, SQLITE_UTF8);
}

bool usage_sums_any(const struct usage_sums *sums, int64_t end)
{
	for (const struct usage_sums_entry *entry = sums->entries; entry != NULL;
		entry = entry->next)
		if (entry->hour < end)
			return true;
	return false;
}

static int store_entry(sqlite3_stmt *statement, const struct usage_sums_entry *entry)
{
	int count = sqlite3_bind_parameter_count(statement), place = 3,
	    code = sums_bind(statement, 1, entry->parent);

	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(statement, 2, entry->hour);
	if (code == SQLITE_OK && count > place)
		code = sums_bind(statement, place++, entry->tool);
	for (int i = 0; i < USAGE_SUMS && place <= count && code == SQLITE_OK; i++)
		code = sqlite3_bind_int64(statement, place++, entry->sums[i]);
	return code == SQLITE_OK ? session_step(statement) : code;
}

int usage_sums_store(
	struct session *session, const char *sql, const struct usage_sums *sums, int64_t end)
{
	sqlite3_stmt *statement;
	int code = session_keep(session, sql, &statement);

	for (const struct usage_sums_entry *entry = sums->entries;
		entry != NULL && code == SQLITE_OK; entry = entry->next)
		if (entry->hour < end)
			code = store_entry(statement, entry);
	return code;
}
