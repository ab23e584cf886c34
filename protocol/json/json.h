/* JSON text: a strict scanner that makes a flat array of nodes (no tree, no copies), and the
 * writers of JSON text.
 *
 * The scanner accepts exactly the JSON texts of RFC 8259 that the protocol allows and refuses, as
 * ERR_PARSE_ERROR: invalid UTF-8, lone surrogates, U+0000 raw or escaped, duplicate member names
 * (compared after unescaping), a byte order mark, nesting above the limit, integers beyond [-2^63,
 * 2^63-1] and numbers beyond a double (1e400). An integer is a number without fraction and
 * exponent. `-0` is the integer 0. Thread: no state of its own. The text must outlive the nodes. */
#ifndef PIERRE_JSON_H
#define PIERRE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../arena.h"
#include "../buffer.h"
#include "../error.h"

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_INTEGER,
	JSON_REAL,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

enum {
	JSON_ESCAPED = 1, /* node flag: the string has at least one backslash */
	JSON_AWKWARD = 2, /* node flag, on a real and on every container around it: a real with an
	                     exponent, with very many digits or with the value -0.0, which
	                     PostgreSQL's JSONB would alter or refuse */
	JSON_BROKEN = 4,  /* node flag of a tolerant scan: this string or number breaks a protocol
	                     rule. On the text's value, or on an item of a top-level array: a part
	                     of it does */
};

/* One value. Children of a container follow it directly: an object's as name, value, name, value, …
 * nodes[i].next is the index after the whole value i: siblings are walked with i =
 * nodes[i].next. */
struct json_node {
	uint8_t type, flags;
	uint32_t start, length; /* in text: a string between its quotes (raw), a container with its
	                           brackets */
	uint32_t next;
	uint32_t count; /* children: members of an object, items of an array */
};

struct json {
	const char *text;
	struct json_node *nodes; /* nodes[0] is the whole text's value */
	size_t count, capacity; /* the array is reused by the next scan; free with json_scan_free */
};

/* The deepest nesting that the scanner and the writers support: the maximum of the limit's setting.
 * Documents may have been stored under a higher setting. */
enum { JSON_DEPTH_MAX = 256 };

/* Scans exactly one value with optional white space around it. depth_limit: containers within
 * containers, 1 = `[]`. */
int json_scan(
	struct json *json, const char *text, size_t length, unsigned depth_limit, struct err *err);
/* The same for a text that json_scan refused. Accepts valid JSON (UTF-8 included) that only breaks
 * a rule of the protocol, and flags its nodes JSON_BROKEN. Omits the children of containers beyond
 * depth_limit. */
int json_scan_tolerant(
	struct json *json, const char *text, size_t length, unsigned depth_limit, struct err *err);
/* Scans the text of one node again, strictly, for the error that describes its fault. */
int json_scan_part(const struct json *json, uint32_t node, unsigned depth_limit, struct err *err);
void json_scan_free(struct json *json);

/* The text of a string node, unescaped: points into json->text when it has no escapes, otherwise
 * into the arena. Not NUL-terminated. NULL only when out of memory. */
const char *json_scan_text(
	const struct json *json, uint32_t node, struct arena *arena, size_t *length);
int64_t json_scan_integer(const struct json *json, uint32_t node); /* JSON_INTEGER nodes only */
double json_scan_real(
	const struct json *json, uint32_t node); /* JSON_INTEGER and JSON_REAL nodes */
/* Index of the member's value in the object at `object`, 0 when absent. */
uint32_t json_member(const struct json *json, uint32_t object, const char *name, size_t length);

/* Writers. All append to the buffer; the caller checks its sticky failure at the end. */
void json_write_string(struct buffer *out, const char *text,
	size_t length); /* valid UTF-8 in; escapes " \ and controls */
void json_write_integer(struct buffer *out, int64_t value);
void json_write_real(struct buffer *out,
	double value); /* finite; shortest that reads back, with . or e: 50.0 0.1 1e+308 */
/* Any scanned value in compact form: without white space, strings with minimal escapes, integers
 * and plain reals unchanged, reals with an exponent (and -0.0) as json_write_real writes them. */
void json_write_node(
	struct buffer *out, const struct json *json, uint32_t node, struct arena *arena);

#endif
