#include <math.h>
#include <stdlib.h>

#include "json.h"
#include "json_number.h"

/* 0: unchanged; otherwise the character after the backslash, 'u' for the long form. */
static const char escapes[256] = {
	['"'] = '"',
	['\\'] = '\\',
	['\b'] = 'b',
	['\f'] = 'f',
	['\n'] = 'n',
	['\r'] = 'r',
	['\t'] = 't',
	[0] = 'u',
	[1] = 'u',
	[2] = 'u',
	[3] = 'u',
	[4] = 'u',
	[5] = 'u',
	[6] = 'u',
	[7] = 'u',
	[11] = 'u',
	[14] = 'u',
	[15] = 'u',
	[16] = 'u',
	[17] = 'u',
	[18] = 'u',
	[19] = 'u',
	[20] = 'u',
	[21] = 'u',
	[22] = 'u',
	[23] = 'u',
	[24] = 'u',
	[25] = 'u',
	[26] = 'u',
	[27] = 'u',
	[28] = 'u',
	[29] = 'u',
	[30] = 'u',
	[31] = 'u',
};

static void write_escape(struct buffer *out, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char text[6] = {'\\', escapes[c], '0', '0', hex[c >> 4], hex[c & 15]};

	buffer_append(out, text, escapes[c] == 'u' ? 6 : 2);
}

void json_write_string(struct buffer *out, const char *text, size_t length)
{
	const char *end = text + length, *plain = text;

	buffer_byte(out, '"');
	for (const char *p = text; p < end; p++)
		if (escapes[(unsigned char)*p] != 0) {
			buffer_append(out, plain, (size_t)(p - plain));
			write_escape(out, (unsigned char)*p);
			plain = p + 1;
		}
	buffer_append(out, plain, (size_t)(end - plain));
	buffer_byte(out, '"');
}

void json_write_integer(struct buffer *out, int64_t value)
{
	char text[24], *p = text + sizeof text;
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do
		*--p = (char)('0' + rest % 10);
	while ((rest /= 10) != 0);
	if (value < 0)
		*--p = '-';
	buffer_append(out, p, (size_t)(text + sizeof text - p));
}

/* `e+16`, `e-05`: at least two digits. */
static size_t exponent_text(int exponent, char *text)
{
	unsigned size = (unsigned)abs(exponent);
	char *p = text;

	*p++ = 'e';
	*p++ = exponent < 0 ? '-' : '+';
	if (size >= 100)
		*p++ = (char)('0' + size / 100);
	*p++ = (char)('0' + size / 10 % 10);
	*p++ = (char)('0' + size % 10);
	return (size_t)(p - text);
}

/* As Python's repr: an exponent below 1e-4 and from 1e16 on, otherwise a fraction digit. */
void json_write_real(struct buffer *out, double value)
{
	char digits[JSON_NUMBER_DIGITS], text[32],
		*p = text; /* at most 25: -0.0001 and sixteen digits more, or an exponent */
	int exponent, count = json_number_digits(fabs(value), digits, &exponent), whole = 1;

	if (signbit(value))
		*p++ = '-';
	if (exponent < -4 || exponent >= 16) {
		*p++ = digits[0];
		if (count > 1)
			*p++ = '.';
	} else if (exponent < 0) {
		memcpy(p, "0.0000", 6);
		p += 1 - exponent;
		whole = 0;
	} else {
		for (whole = 0; whole <= exponent; whole++)
			*p++ = whole < count ? digits[whole] : '0';
		*p++ = '.';
		if (count <= whole)
			*p++ = '0';
	}
	for (int i = whole; i < count; i++)
		*p++ = digits[i];
	if (exponent < -4 || exponent >= 16)
		p += exponent_text(exponent, p);
	buffer_append(out, text, (size_t)(p - text));
}

static void write_scalar(
	struct buffer *out, const struct json *json, uint32_t index, struct arena *arena)
{
	const struct json_node *node = &json->nodes[index];

	if (node->type == JSON_REAL && (node->flags & JSON_AWKWARD) != 0) {
		json_write_real(
			out, json_scan_real(json, index)); /* an exponent may be longer than a
		                                              database accepts: 1e-99999 is 0.0 */
	} else if (node->type != JSON_STRING) {
		buffer_append(out, json->text + node->start, node->length);
	} else if ((node->flags & JSON_ESCAPED) == 0) {
		buffer_append(out, json->text + node->start - 1,
			(size_t)node->length + 2); /* with its quotes */
	} else {
		size_t length;
		const char *text = json_scan_text(json, index, arena, &length);

		if (text == NULL)
			out->failure = BUFFER_NO_MEMORY;
		else
			json_write_string(out, text, length);
	}
}

/* Walks the nodes in order; the stack holds the open containers. The scanner limits nesting. */
void json_write_node(
	struct buffer *out, const struct json *json, uint32_t index, struct arena *arena)
{
	struct {
		uint32_t end, node, child;
	} stack[JSON_DEPTH_MAX + 1];
	unsigned depth = 0;
	uint32_t end = json->nodes[index].next;

	for (uint32_t i = index; i < end || depth > 0; i++) {
		while (depth > 0 && i == stack[depth - 1].end)
			buffer_byte(out,
				json->nodes[stack[--depth].node].type == JSON_OBJECT ? '}' : ']');
		if (i >= end)
			break;
		if (depth > 0) {
			uint32_t child = stack[depth - 1].child++;
			bool object = json->nodes[stack[depth - 1].node].type == JSON_OBJECT;

			if (object && (child & 1) != 0)
				buffer_byte(out, ':');
			else if (child > 0)
				buffer_byte(out, ',');
		}
		const struct json_node *node = &json->nodes[i];
		if (node->type == JSON_OBJECT || node->type == JSON_ARRAY) {
			buffer_byte(out, node->type == JSON_OBJECT ? '{' : '[');
			stack[depth].end = node->next;
			stack[depth].node = i;
			stack[depth++].child = 0;
		} else {
			write_scalar(out, json, i, arena);
		}
	}
}
