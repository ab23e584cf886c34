#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "json_names.h"
#include "json_number.h"
#include "../value.h"

/* MANTISSA_DIGITS fit in 64 bits. An exponent may be as far from 0 as a text is long, and its
 * digits still count. */
enum { LONG_REAL = 1000, MANTISSA_DIGITS = 19 };
#define EXPONENT_MAX INT64_C(100000000000)

struct scan {
	struct json *json;
	const char *text, *at, *end;
	struct err *err;
	bool tolerant; /* a breach of protocol rules does not end the scan */
	bool broken;   /* a breach in the current value of the text, or of its array */
	bool any;      /* a breach anywhere */
};

static int json_scan_fail(struct scan *scan, const char *what)
{
	return err_set(scan->err, ERR_PARSE_ERROR, "not a JSON text: %s at byte %zu", what,
		(size_t)(scan->at - scan->text) + 1);
}

/* Valid JSON that breaks a protocol rule. 0 only in a tolerant scan. */
static int break_rule(struct scan *scan, const char *what)
{
	if (!scan->tolerant)
		return json_scan_fail(scan, what);
	scan->broken = scan->any = true;
	return 0;
}

static struct json_node *json_scan_add(struct scan *scan, enum json_type type)
{
	struct json *json = scan->json;

	if (json->count == json->capacity) {
		size_t capacity = json->capacity == 0 ? 64 : json->capacity * 2;
		struct json_node *nodes = realloc(json->nodes, capacity * sizeof *nodes);

		if (nodes == NULL) {
			err_set(scan->err, ERR_INTERNAL, "out of memory");
			return NULL;
		}
		json->nodes = nodes;
		json->capacity = capacity;
	}
	struct json_node *node = &json->nodes[json->count++];
	*node = (struct json_node){.type = (uint8_t)type, .next = (uint32_t)json->count};
	return node;
}

static bool space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct scan *scan)
{
	while (scan->at < scan->end && space(*scan->at))
		scan->at++;
}

/* An escape; scan->at is at the backslash and moves past it. Returns flags for the string's
 * node. */
static int scan_escape(struct scan *scan, uint8_t *flags)
{
	const char *p = scan->at;

	if (scan->end - p < 2)
		return json_scan_fail(scan, "the text ends within a string");
	if (p[1] != 'u') {
		if (strchr("\"\\/bfnrt", p[1]) == NULL || p[1] == '\0')
			return json_scan_fail(scan, "an unknown escape");
		scan->at += 2;
		return 0;
	}
	int first = scan->end - p >= 6 ? json_hex4(p + 2) : -1;
	if (first < 0)
		return json_scan_fail(scan, "an invalid \\u escape");
	if (first == 0) {
		*flags |= JSON_BROKEN;
		if (break_rule(scan, "U+0000 in a string") < 0)
			return -1;
	}
	scan->at += 6;
	if (first < 0xD800 || first > 0xDFFF)
		return 0;
	int second = first <= 0xDBFF && scan->end - p >= 12 && p[6] == '\\' && p[7] == 'u'
		? json_hex4(p + 8)
		: -1;
	if (second < 0xDC00 || second > 0xDFFF) {
		scan->at = p;
		*flags |= JSON_BROKEN;
		if (break_rule(scan, "a lone surrogate") < 0)
			return -1;
		scan->at = p + 6;
		return 0;
	}
	scan->at += 6;
	return 0;
}

/* True when one of 8 bytes is a quote, a backslash, a control or not ASCII. */
static bool stops(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
	uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';

	return ((word | (word - ones * 0x20) | ((quote - ones) & ~quote) |
			((backslash - ones) & ~backslash)) &
		       tops) != 0;
}

/* A string; scan->at is after the opening quote and moves past the closing one. */
static int scan_string(struct scan *scan)
{
	struct json_node *node = json_scan_add(scan, JSON_STRING);
	size_t index = scan->json->count - 1;
	const char *start = scan->at;
	uint8_t flags = 0;

	if (node == NULL)
		return -1;
	for (;;) {
		uint64_t word;

		while (scan->end - scan->at >= 8) {
			memcpy(&word, scan->at, 8);
			if (stops(word))
				break;
			scan->at += 8;
		}
		if (scan->at == scan->end)
			return json_scan_fail(scan, "the text ends within a string");
		unsigned char c = (unsigned char)*scan->at;
		if (c == '"')
			break;
		if (c == '\\') {
			flags |= JSON_ESCAPED;
			if (scan_escape(scan, &flags) < 0)
				return -1;
		} else if (c < 0x20) {
			return json_scan_fail(scan, "a control character in a string");
		} else if (c < 0x80) {
			scan->at++;
		} else {
			size_t length = utf8_character(scan->at, (size_t)(scan->end - scan->at));

			if (length == 0)
				return json_scan_fail(scan, "invalid UTF-8");
			scan->at += length;
		}
	}
	node = &scan->json->nodes[index];
	/* A broken string has no unescaped form: its raw text is used. */
	node->flags = (flags & JSON_BROKEN) != 0 ? JSON_BROKEN : flags;
	node->start = (uint32_t)(start - scan->text);
	node->length = (uint32_t)(scan->at - start);
	scan->at++;
	return 0;
}

static bool digit(const struct scan *scan)
{
	return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

/* Powers of ten that a double represents exactly. */
static const double exact_powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The C library's strtod in the C locale, for the rare numbers that need all of their digits. */
static double slow_real(const char *text, size_t length)
{
	static locale_t c_locale;
	char small[64], *copy = length < sizeof small ? small : malloc(length + 1);
	double value;

	if (copy == NULL)
		return (double)INFINITY;
	locale_t locale = __atomic_load_n(&c_locale, __ATOMIC_ACQUIRE);
	if (locale == (locale_t)0) {
		locale_t made = newlocale(LC_ALL_MASK, "C", (locale_t)0), none = (locale_t)0;

		if (__atomic_compare_exchange_n(
			    &c_locale, &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			locale = made;
		else {
			freelocale(made);
			locale = none;
		}
	}
	memcpy(copy, text, length);
	copy[length] = '\0';
	value = strtod_l(copy, NULL, locale);
	if (copy != small)
		free(copy);
	return value;
}

static int64_t exponent_of(const char *p, const char *end)
{
	bool minus = *p == '-';
	int64_t exponent = 0;

	if (*p == '-' || *p == '+')
		p++;
	for (; p < end && exponent < EXPONENT_MAX; p++)
		exponent = exponent * 10 + (*p - '0');
	return minus ? -exponent : exponent;
}

static double parse_real(const char *text, size_t length)
{
	const char *p = text, *end = text + length;
	bool negative = *p == '-', point = false, cut = false;
	uint64_t mantissa = 0;
	int64_t exponent = 0;
	int digits = 0;
	double value;

	if (negative)
		p++;
	for (; p < end && *p != 'e' && *p != 'E'; p++) {
		if (*p == '.') {
			point = true;
			continue;
		}
		exponent -= point;
		if (digits < MANTISSA_DIGITS) {
			digits += mantissa != 0 || *p != '0';
			mantissa = mantissa * 10 + (uint64_t)(*p - '0');
		} else { /* only its position matters, and whether it is nonzero */
			exponent++;
			cut = cut || *p != '0';
		}
	}
	if (p < end)
		exponent += exponent_of(p + 1, end);
	if (!cut && mantissa <= (UINT64_C(1) << 53) && exponent >= -22 && exponent <= 22)
		value = exponent < 0 ? (double)mantissa / exact_powers[-exponent]
				     : (double)mantissa * exact_powers[exponent];
	else if (!json_number_nearest(mantissa, exponent, cut, &value))
		return slow_real(text, length);
	return negative ? -value : value;
}

static bool integer_fits(const char *text, size_t length)
{
	bool negative = *text == '-';
	const char *limit = negative ? "9223372036854775808" : "9223372036854775807";

	text += negative;
	length -= negative;
	return length < 19 || (length == 19 && memcmp(text, limit, 19) <= 0);
}

/* One pass over the bytes, for speed. */
/* NOLINTNEXTLINE(readability-function-cognitive-complexity) */
static int scan_number(struct scan *scan)
{
	const char *start = scan->at;
	bool real = false, exponent = false;

	if (*scan->at == '-')
		scan->at++;
	if (!digit(scan))
		return json_scan_fail(scan, "a number without digits");
	if (*scan->at == '0') {
		scan->at++;
		if (digit(scan))
			return json_scan_fail(scan, "a number with a leading zero");
	}
	while (digit(scan))
		scan->at++;
	if (scan->at < scan->end && *scan->at == '.') {
		real = true;
		scan->at++;
		if (!digit(scan))
			return json_scan_fail(
				scan, "a number without digits after its decimal point");
		while (digit(scan))
			scan->at++;
	}
	if (scan->at < scan->end && (*scan->at | 32) == 'e') {
		real = exponent = true;
		scan->at++;
		if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
			scan->at++;
		if (!digit(scan))
			return json_scan_fail(scan, "a number without digits in its exponent");
		while (digit(scan))
			scan->at++;
	}
	size_t length = (size_t)(scan->at - start);
	struct json_node *node = json_scan_add(scan, real ? JSON_REAL : JSON_INTEGER);
	if (node == NULL)
		return -1;
	node->start = (uint32_t)(start - scan->text);
	node->length = (uint32_t)length;
	if (!real) {
		if (integer_fits(start, length))
			return 0;
		node->flags = JSON_BROKEN;
		return break_rule(scan, "an integer beyond 64 bits");
	}
	double value = parse_real(start, length);
	if (!isfinite(value)) {
		node->flags = JSON_BROKEN;
		return break_rule(scan, "a number beyond a double");
	}
	if (exponent || length > LONG_REAL || (value == 0 && signbit(value)))
		node->flags = JSON_AWKWARD;
	return 0;
}

static int scan_word(struct scan *scan, const char *word, enum json_type type)
{
	size_t length = strlen(word);

	if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0)
		return json_scan_fail(scan, "an unexpected character");
	struct json_node *node = json_scan_add(scan, type);
	if (node == NULL)
		return -1;
	node->start = (uint32_t)(scan->at - scan->text);
	node->length = (uint32_t)length;
	scan->at += length;
	return 0;
}

/* What the scanner expects next. */
enum want { WANT_VALUE, WANT_FIRST_OR_END, WANT_NAME, WANT_COMMA_OR_END };

struct json_level {
	uint32_t node;
	bool object;
};

static int check_duplicates(struct scan *scan, uint32_t object)
{
	uint32_t name;

	if (!json_duplicate(scan->json, object, &name))
		return err_set(scan->err, ERR_INTERNAL, "out of memory");
	if (name == 0)
		return 0;
	const char *at = scan->at;
	scan->at = scan->text + scan->json->nodes[name].start;
	if (break_rule(scan, "a member name that occurs twice in its object") < 0)
		return -1;
	scan->at = at;
	return 0;
}

/* Ends the innermost container at scan->at (on its bracket). */
static int close_container(struct scan *scan, struct json_level *level)
{
	struct json_node *node = &scan->json->nodes[level->node];

	scan->at++;
	node->length = (uint32_t)(scan->at - scan->text) - node->start;
	node->next = (uint32_t)scan->json->count;
	return level->object && node->count > 1 ? check_duplicates(scan, level->node) : 0;
}

/* A member's name and its colon. */
static int scan_name(struct scan *scan)
{
	if (scan->at == scan->end || *scan->at != '"')
		return json_scan_fail(scan, "a member name was expected");
	scan->at++;
	if (scan_string(scan) < 0)
		return -1;
	skip_space(scan);
	if (scan->at == scan->end || *scan->at != ':')
		return json_scan_fail(scan, "a colon was expected");
	scan->at++;
	return 0;
}

static int scan_scalar(struct scan *scan)
{
	switch (*scan->at) {
	case '"':
		scan->at++;
		return scan_string(scan);
	case 't':
		return scan_word(scan, "true", JSON_TRUE);
	case 'f':
		return scan_word(scan, "false", JSON_FALSE);
	case 'n':
		return scan_word(scan, "null", JSON_NULL);
	default:
		if (*scan->at == '-' || digit(scan))
			return scan_number(scan);
		return json_scan_fail(scan, "an unexpected character");
	}
}

/* The open containers. A tolerant scan may have more than the limit. */
struct levels {
	struct json_level fixed[JSON_DEPTH_MAX], *at;
	unsigned depth, capacity, limit;
};

static int open_container(struct scan *scan, struct levels *levels)
{
	bool object = *scan->at == '{';

	if (levels->depth >= levels->limit && break_rule(scan, "nesting is too deep") < 0)
		return -1;
	if (levels->depth == levels->capacity) {
		struct json_level *grown =
			reallocarray(levels->at == levels->fixed ? NULL : levels->at,
				levels->capacity, 2 * sizeof *grown);

		if (grown == NULL)
			return err_set(scan->err, ERR_INTERNAL, "out of memory");
		if (levels->at == levels->fixed)
			memcpy(grown, levels->fixed, sizeof levels->fixed);
		levels->at = grown;
		levels->capacity *= 2;
	}
	struct json_node *node = json_scan_add(scan, object ? JSON_OBJECT : JSON_ARRAY);
	if (node == NULL)
		return -1;
	node->start = (uint32_t)(scan->at - scan->text);
	levels->at[levels->depth++] = (struct json_level){(uint32_t)scan->json->count - 1, object};
	scan->at++;
	return 0;
}

/* After the innermost container is closed, or a scalar is read: assigns a breach to its request. */
static void end_value(struct scan *scan, const struct levels *levels, uint32_t node)
{
	struct json_node *nodes = scan->json->nodes;

	if (levels->depth >=
		levels->limit) { /* content beyond the depth limit is skipped, whatever its size */
		nodes[node].count = 0;
		nodes[node].next = node + 1;
		scan->json->count = node + 1;
	}
	if (!scan->broken || levels->depth > 1 || (levels->depth == 1 && levels->at[0].object))
		return;
	nodes[node].flags |= JSON_BROKEN;
	scan->broken = false;
}

/* A name and its colon before a member's value; nothing before an item. */
static int begin_child(struct scan *scan, const struct json_level *level)
{
	scan->json->nodes[level->node].count++;
	if (!level->object)
		return 0;
	if (scan_name(scan) < 0)
		return -1;
	skip_space(scan);
	return scan->at == scan->end ? json_scan_fail(scan, "the text ends too early") : 0;
}

static void mark_awkward(struct json *json, const struct levels *levels)
{
	const struct json_node *last = &json->nodes[json->count - 1];

	if ((last->flags & JSON_AWKWARD) == 0 || last->type != JSON_REAL)
		return;
	for (unsigned i = 0; i < levels->depth && i < levels->limit; i++)
		json->nodes[levels->at[i].node].flags |= JSON_AWKWARD;
}

/* One loop without recursion, for speed and depth. */
/* NOLINTNEXTLINE(readability-function-cognitive-complexity) */
static int scan_values(struct scan *scan, struct levels *levels)
{
	struct json_level *level = NULL; /* of the innermost open container */
	enum want want = WANT_VALUE;

	for (;;) {
		skip_space(scan);
		if (scan->at == scan->end)
			return json_scan_fail(scan, "the text ends too early");
		if (level != NULL && (want == WANT_COMMA_OR_END || want == WANT_FIRST_OR_END) &&
			*scan->at == (level->object ? '}' : ']')) {
			if (close_container(scan, level) < 0)
				return -1;
			levels->depth--;
			if (scan->any)
				end_value(scan, levels, level->node);
			if (levels->depth == 0)
				return 0;
			level--;
			want = WANT_COMMA_OR_END;
			continue;
		}
		if (want == WANT_COMMA_OR_END) {
			if (*scan->at != ',')
				return json_scan_fail(
					scan, "a comma or the end of a container was expected");
			scan->at++;
			want = level->object ? WANT_NAME : WANT_VALUE;
			continue;
		}
		if (level != NULL && begin_child(scan, level) < 0)
			return -1;
		if (*scan->at == '{' || *scan->at == '[') {
			if (open_container(scan, levels) < 0)
				return -1;
			level = &levels->at[levels->depth - 1];
			want = WANT_FIRST_OR_END;
			continue;
		}
		if (scan_scalar(scan) < 0)
			return -1;
		mark_awkward(scan->json, levels);
		if (scan->any)
			end_value(scan, levels, (uint32_t)scan->json->count - 1);
		if (level == NULL)
			return 0;
		want = WANT_COMMA_OR_END;
	}
}

/* scan->at and scan->end delimit the value. */
static int scan_text(struct scan *scan, unsigned depth_limit)
{
	struct levels levels;
	int result;

	levels.at = levels.fixed;
	levels.depth = 0;
	levels.capacity = JSON_DEPTH_MAX;
	levels.limit = depth_limit < JSON_DEPTH_MAX ? depth_limit : JSON_DEPTH_MAX;
	scan->json->text = scan->text;
	scan->json->count = 0;
	if (scan->end - scan->text >= UINT32_MAX)
		return err_set(scan->err, ERR_PARSE_ERROR, "the text is too long");
	result = scan_values(scan, &levels);
	if (levels.at != levels.fixed)
		free(levels.at);
	if (result < 0)
		return -1;
	skip_space(scan);
	return scan->at == scan->end ? 0 : json_scan_fail(scan, "something follows the value");
}

int json_scan(
	struct json *json, const char *text, size_t length, unsigned depth_limit, struct err *err)
{
	struct scan scan = {
		.json = json, .text = text, .at = text, .end = text + length, .err = err};

	return scan_text(&scan, depth_limit);
}

int json_scan_tolerant(
	struct json *json, const char *text, size_t length, unsigned depth_limit, struct err *err)
{
	struct scan scan = {.json = json,
		.text = text,
		.at = text,
		.end = text + length,
		.err = err,
		.tolerant = true};

	return scan_text(&scan, depth_limit);
}

int json_scan_part(const struct json *json, uint32_t node, unsigned depth_limit, struct err *err)
{
	const struct json_node *part = &json->nodes[node];
	bool string = part->type == JSON_STRING; /* whose quotes are not part of its node */
	const char *at = json->text + part->start - string;
	struct json again = {0};
	struct scan scan = {.json = &again,
		.text = json->text,
		.at = at,
		.end = at + part->length + 2 * string,
		.err = err};
	int result = scan_text(&scan, depth_limit);

	json_scan_free(&again);
	return result;
}

void json_scan_free(struct json *json)
{
	free(json->nodes);
	*json = (struct json){0};
}

double json_scan_real(const struct json *json, uint32_t node)
{
	return parse_real(json->text + json->nodes[node].start, json->nodes[node].length);
}
