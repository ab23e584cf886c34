#include <endian.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "json_names.h"

enum { FEW_MEMBERS = 16 };

int json_hex4(const char *p)
{
	int value = 0;

	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int digit = c >= '0' && c <= '9'             ? c - '0'
			: (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
							     : -1;

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static char *put_utf8(char *out, unsigned code)
{
	if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xC0 | code >> 6);
		*out++ = (char)(0x80 | (code & 0x3F));
	} else if (code < 0x10000) {
		*out++ = (char)(0xE0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 0x3F));
		*out++ = (char)(0x80 | (code & 0x3F));
	} else {
		*out++ = (char)(0xF0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3F));
		*out++ = (char)(0x80 | (code >> 6 & 0x3F));
		*out++ = (char)(0x80 | (code & 0x3F));
	}
	return out;
}

/* Unescapes one byte or one escape of a valid string; returns the end of its output. Never longer
 * than the raw text. */
static char *json_names_take(const char **raw, char *out)
{
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	const char *p = *raw;

	if (*p != '\\') {
		*out++ = *p;
		*raw = p + 1;
		return out;
	}
	if (p[1] != 'u') {
		*out++ = into[strchr(from, p[1]) - from];
		*raw = p + 2;
		return out;
	}
	unsigned code = (unsigned)json_hex4(p + 2);
	p += 6;
	if (code >= 0xD800 && code <= 0xDBFF) {
		code = 0x10000 + ((code - 0xD800) << 10) + ((unsigned)json_hex4(p + 2) - 0xDC00);
		p += 6;
	}
	*raw = p;
	return put_utf8(out, code);
}

const char *json_scan_text(
	const struct json *json, uint32_t index, struct arena *arena, size_t *length)
{
	const struct json_node *node = &json->nodes[index];
	const char *raw = json->text + node->start;

	*length = node->length;
	if ((node->flags & JSON_ESCAPED) == 0)
		return raw;
	char *text = arena_alloc(arena, node->length + 1);
	if (text == NULL)
		return NULL;
	char *out = text;
	for (const char *end = raw + node->length; raw < end;)
		out = json_names_take(&raw, out);
	*length = (size_t)(out - text);
	return text;
}

int64_t json_scan_integer(const struct json *json, uint32_t index)
{
	const char *p = json->text + json->nodes[index].start, *end = p + json->nodes[index].length;
	bool negative = *p == '-';
	uint64_t value = 0;

	for (p += negative; p < end; p++)
		value = value * 10 + (uint64_t)(*p - '0');
	return (int64_t)(negative ? 0 - value : value);
}

/* Iterates over the unescaped bytes of a string. Comparing names this way allocates nothing, so an
 * allocation failure cannot hide a duplicate. */
struct name_reader {
	const char *at, *end;
	char piece[4];
	unsigned next, size;
};

static struct name_reader read_string(const struct json *json, uint32_t index)
{
	const char *text = json->text + json->nodes[index].start;

	return (struct name_reader){.at = text, .end = text + json->nodes[index].length};
}

/* -1: the end. */
static int next_byte(struct name_reader *reader)
{
	if (reader->next == reader->size) {
		if (reader->at == reader->end)
			return -1;
		reader->size =
			(unsigned)(json_names_take(&reader->at, reader->piece) - reader->piece);
		reader->next = 0;
	}
	return (unsigned char)reader->piece[reader->next++];
}

static bool same_name(const struct json *json, uint32_t a, uint32_t b)
{
	const struct json_node *x = &json->nodes[a], *y = &json->nodes[b];
	struct name_reader one, two;
	int byte;

	if (((x->flags | y->flags) & JSON_ESCAPED) == 0)
		return x->length == y->length &&
			memcmp(json->text + x->start, json->text + y->start, x->length) == 0;
	one = read_string(json, a);
	two = read_string(json, b);
	do {
		byte = next_byte(&one);
		if (byte != next_byte(&two))
			return false;
	} while (byte >= 0);
	return true;
}

static bool name_is(const struct json *json, uint32_t name, const char *text, size_t length)
{
	const struct json_node *node = &json->nodes[name];
	struct name_reader reader;

	if ((node->flags & JSON_ESCAPED) == 0)
		return node->length == length &&
			memcmp(json->text + node->start, text, length) == 0;
	reader = read_string(json, name);
	for (size_t i = 0; i < length; i++)
		if (next_byte(&reader) != (unsigned char)text[i])
			return false;
	return next_byte(&reader) < 0;
}

static uint64_t hash_key[2];

static void make_hash_key(void)
{
	/* On failure the hash still works. Its key is then predictable, which affects only
	 * speed. */
	(void)!getrandom(hash_key, sizeof hash_key, GRND_NONBLOCK);
}

static uint64_t rotate(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

/* SipHash-1-3 of a name under a random key, drawn once: clients cannot construct names that collide
 * in the table. */
static uint64_t sip_hash(const struct json *json, uint32_t name)
{
	const struct json_node *node = &json->nodes[name];
	const char *text = json->text + node->start;
	uint64_t v[4] = {hash_key[0] ^ UINT64_C(0x736f6d6570736575),
		hash_key[1] ^ UINT64_C(0x646f72616e646f6d),
		hash_key[0] ^ UINT64_C(0x6c7967656e657261),
		hash_key[1] ^ UINT64_C(0x7465646279746573)};
	uint64_t word = 0, length = 0;

	if ((node->flags & JSON_ESCAPED) == 0) {
		for (; length + 8 <= node->length; length += 8) {
			memcpy(&word, text + length, 8);
			sip_word(v, le64toh(word));
		}
		word = 0;
		memcpy(&word, text + length, node->length & 7);
		word = le64toh(word);
		length = node->length;
	} else {
		struct name_reader reader = read_string(json, name);

		for (int byte = next_byte(&reader); byte >= 0; byte = next_byte(&reader)) {
			word |= (uint64_t)byte << length % 8 * 8;
			if (++length % 8 == 0) {
				sip_word(v, word);
				word = 0;
			}
		}
	}
	sip_word(v, word | length << 56);
	v[2] ^= 0xFF;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* A small open-addressing table, which avoids comparing all pairs in an object of 100,000
 * members. */
static bool duplicate_of_many(const struct json *json, uint32_t object, uint32_t *found)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct {
		uint32_t name, tag; /* the upper half of the hash rejects most mismatches without
		                       reading their text */
	} * table;
	size_t size = 64;

	(void)pthread_once(&once, make_hash_key);
	while (size < (size_t)json->nodes[object].count * 2)
		size *= 2;
	table = calloc(size, sizeof *table);
	if (table == NULL)
		return false;
	for (uint32_t name = object + 1; name < json->nodes[object].next && *found == 0;
		name = json->nodes[name + 1].next) {
		uint64_t hash = sip_hash(json, name);
		uint32_t tag = (uint32_t)(hash >> 32);
		size_t place = hash & (size - 1);

		while (table[place].name != 0 &&
			(table[place].tag != tag || !same_name(json, table[place].name, name)))
			place = (place + 1) & (size - 1);
		if (table[place].name != 0)
			*found = name;
		table[place].name = name;
		table[place].tag = tag;
	}
	free(table);
	return true;
}

bool json_duplicate(const struct json *json, uint32_t object, uint32_t *found)
{
	uint32_t names[FEW_MEMBERS];
	unsigned count = 0;

	*found = 0;
	if (json->nodes[object].count > FEW_MEMBERS)
		return duplicate_of_many(json, object, found);
	for (uint32_t name = object + 1; name < json->nodes[object].next;
		name = json->nodes[name + 1].next) {
		for (unsigned i = 0; i < count; i++)
			if (same_name(json, names[i], name)) {
				*found = name;
				return true;
			}
		names[count++] = name;
	}
	return true;
}

uint32_t json_member(const struct json *json, uint32_t object, const char *text, size_t length)
{
	for (uint32_t name = object + 1; name < json->nodes[object].next;
		name = json->nodes[name + 1].next)
		if (name_is(json, name, text, length))
			return name + 1;
	return 0;
}
