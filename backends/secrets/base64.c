#include "base64.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { NO_DIGIT = 0x40 }; /* above every digit's value */

/* The value of a character plus one; 0: not a digit. */
#define RANGE8(c, v)                                                                               \
	[(c)] = (v) + 1, [(c) + 1] = (v) + 2, [(c) + 2] = (v) + 3, [(c) + 3] = (v) + 4,            \
	[(c) + 4] = (v) + 5, [(c) + 5] = (v) + 6, [(c) + 6] = (v) + 7, [(c) + 7] = (v) + 8
static const uint8_t values[256] = {
	RANGE8('A', 0),
	RANGE8('I', 8),
	RANGE8('Q', 16),
	['Y'] = 25,
	['Z'] = 26,
	RANGE8('a', 26),
	RANGE8('i', 34),
	RANGE8('q', 42),
	['y'] = 51,
	['z'] = 52,
	RANGE8('0', 52),
	['8'] = 61,
	['9'] = 62,
	['+'] = 63,
	['/'] = 64,
};

void base64_encode(const unsigned char *bytes, size_t length, char *out)
{
	for (; length >= 3; bytes += 3, length -= 3) {
		uint32_t bits = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];

		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		*out++ = digits[bits >> 6 & 63];
		*out++ = digits[bits & 63];
	}
	if (length > 0) {
		uint32_t bits =
			(uint32_t)bytes[0] << 16 | (length > 1 ? (uint32_t)bytes[1] << 8 : 0);

		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		*out++ = length > 1 ? digits[bits >> 6 & 63] : '=';
		*out++ = '=';
	}
	*out = '\0';
}

/* Four digits to 24 bits; an invalid character sets higher bits. */
static uint32_t group(const char *text)
{
	uint32_t a = values[(unsigned char)text[0]] - 1U, b = values[(unsigned char)text[1]] - 1U;
	uint32_t c = values[(unsigned char)text[2]] - 1U, d = values[(unsigned char)text[3]] - 1U;

	return (a | b | c | d) >= NO_DIGIT ? UINT32_MAX : a << 18 | b << 12 | c << 6 | d;
}

/* The last group with its padding; returns its number of bytes, 0: invalid. */
static size_t last_group(const char *text, unsigned char *out)
{
	size_t count = text[3] != '=' ? 3 : text[2] != '=' ? 2 : 1;
	const char whole[4] = {
		text[0], text[1], count > 1 ? text[2] : 'A', count > 2 ? text[3] : 'A'};
	uint32_t bits = group(whole);

	if (bits == UINT32_MAX || (count < 3 && (bits & (count == 2 ? 0xFF : 0xFFFF)) != 0))
		return 0;
	out[0] = (unsigned char)(bits >> 16);
	if (count > 1)
		out[1] = (unsigned char)(bits >> 8);
	if (count > 2)
		out[2] = (unsigned char)bits;
	return count;
}

bool base64_decode(const char *text, size_t length, unsigned char *out, size_t *out_length)
{
	size_t count;

	*out_length = 0;
	if (length % 4 != 0)
		return false;
	if (length == 0)
		return true;
	*out_length = length / 4 * 3 - 3;
	for (; length > 4; text += 4, length -= 4, out += 3) {
		uint32_t bits = group(text);

		if (bits == UINT32_MAX)
			return false;
		out[0] = (unsigned char)(bits >> 16);
		out[1] = (unsigned char)(bits >> 8);
		out[2] = (unsigned char)bits;
	}
	count = last_group(text, out);
	*out_length += count;
	return count > 0;
}
