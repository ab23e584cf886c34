/* Typed values between JSON and database: decoded parameters and columns of rows.
 *
 * Texts are pointer and length, valid UTF-8, not NUL-terminated unless stated; they belong to the
 * call's arena or to the request's line. Thread: plain data.
 *
 * prefix: timestamp_, uuid_, utf8_, clock_, ip_, value_ */
#ifndef PIERRE_VALUE_H
#define PIERRE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

enum type {
	TYPE_NULL,      /* only null is allowed */
	TYPE_BOOL,      /* .i 0 or 1 */
	TYPE_U16,       /* .i */
	TYPE_U32,       /* .i */
	TYPE_I64,       /* .i */
	TYPE_F64,       /* .f finite */
	TYPE_STRING,    /* .s */
	TYPE_UUID,      /* .s canonical: 36 bytes, lower case, hyphens */
	TYPE_TIMESTAMP, /* .i microseconds since 1970-01-01T00:00:00Z, within years 0000 to 9999 */
	TYPE_IP,        /* .s canonical text of an address; any other text unchanged */
	TYPE_ENUM,      /* .s one of the enumeration's names */
	TYPE_STRINGS,   /* .s compact JSON text of an array of strings */
	TYPE_DOCUMENT,  /* .s compact JSON text of an object */
	TYPE_JSON, /* .s compact JSON text of any value; JSON null is the text `null`, a missing
	              member is no value */
	TYPE_MAP, /* output only: JSON text of {string: integer} from SQL, members ordered by key */
	TYPE_OBJECT, /* a parameter object or nested answer object: has members, no value of its own
	              */
	TYPE_REST, /* output only: a stored document; members that the row schema does not name are
	              added to it */
	TYPE_SEALED, /* input: a text sealed before it is bound; output: opened by the backend, then
	                a string */
	TYPE_NONCE,  /* base64 of the two nonces of a token's sealed texts; never in an answer */
	TYPE_ANY,    /* input only: accepted and ignored */
	TYPE_ROWS,   /* input only, an array of objects: .s.ptr points to the values of each one in
	                turn, .s.len is their number */
	TYPE_CALLS,  /* input only: an array of calls, which the daemon decodes itself */
};

/* Flag on values that PostgreSQL's own type would alter or refuse: a DOCUMENT/JSON with such a
 * number (json.h JSON_AWKWARD), an IP that is not an address. */
enum { VALUE_AWKWARD = 1 };

struct value {
	bool set; /* false = NULL */
	uint8_t flags;
	union {
		int64_t i;
		double f;
		struct {
			const char *ptr;
			size_t len;
		} s;
	};
};

/* BOOL, U16, U32, I64: whether a stored integer is in range. */
bool value_integer_in_range(enum type type, int64_t value);

enum { UUID_TEXT = 36, TIMESTAMP_TEXT_MAX = 32 };

/* 36 characters with hyphens or 32 hex digits, any case -> canonical text (36 bytes, no NUL). */
bool uuid_parse(const char *text, size_t length, char out[UUID_TEXT]);
void uuid_from_bytes(const unsigned char bytes[16], char out[UUID_TEXT]);
/* A new random (version 4) one. */
void uuid_new(char out[UUID_TEXT]);

enum { IP_MAX = 255, TIMESTAMP_PROBLEM_MAX = 120 };

/* RFC 3339 with any offset and 0-9 fraction digits; digits past the sixth are truncated (towards
 * the past), leap seconds are refused. */
bool timestamp_parse(const char *text, size_t length, int64_t *micros);
/* Why timestamp_parse refuses a text of the form of a time, to follow its name: "has the month 13:
 * …". false: it does not have the form. */
bool timestamp_problem(const char *text, size_t length, char out[TIMESTAMP_PROBLEM_MAX]);
/* Parses stored times: RFC 3339 as above, or `2025-06-10 08:00:00[.fff][+00[:00]]` (no offset =
 * UTC). */
bool timestamp_parse_stored(const char *text, size_t length, int64_t *micros);
/* `2025-06-19T15:44:49.123456Z`; returns the length (27). No NUL. */
size_t timestamp_format(int64_t micros, char out[TIMESTAMP_TEXT_MAX]);
/* `2025-06-19T15:44:49.123456+00:00`, the stored form; returns the length (32). No NUL. */
size_t timestamp_format_stored(int64_t micros, char out[TIMESTAMP_TEXT_MAX]);
bool timestamp_in_range(int64_t micros);
int64_t timestamp_now(void);                   /* wall clock */
uint64_t clock_ns(void);                       /* CLOCK_MONOTONIC */
int64_t clock_ms(void);                        /* the same in milliseconds */
double clock_seconds(void);                    /* the same */
int64_t timestamp_month_start(int64_t micros); /* first instant of that UTC calendar month */
int64_t timestamp_day_start(int64_t micros);   /* midnight UTC of that day */

/* The earlier one of two moments of clock_ns(). */
static inline uint64_t clock_earlier(uint64_t left, uint64_t right)
{
	return left < right ? left : right;
}

/* IPv4/IPv6 text -> canonical text (inet_ntop form; at most 45 bytes; no NUL); *out_length set. No
 * zone, no mask. */
bool ip_parse(const char *text, size_t length, char out[46], size_t *out_length);

/* Length in bytes of the character at text (left > 0 bytes); 0 when it is invalid UTF-8 or U+0000.
 */
size_t utf8_character(const char *text, size_t left);
/* Strict UTF-8 without U+0000. */
bool utf8_valid(const char *text, size_t length);

#endif
