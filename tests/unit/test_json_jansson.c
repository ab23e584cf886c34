/* The scanner compared with jansson, on generated and then damaged texts. Would catch: whatever
 * the other tests do not cover. (Where the rules differ: see against_jansson.h.) */
#include <string.h>

#include "../../protocol/buffer.h"
#include "against_jansson.h"
#include "unit.h"

enum { TEXTS = 20000, DAMAGED = 8, BIGGEST = 4096 };

static uint64_t state;
static struct buffer out;

static unsigned below(unsigned n)
{
	return (unsigned)(unit_random(&state) % n);
}

static void one_of(const char *const *texts, size_t count)
{
	buffer_text(&out, texts[below((unsigned)count)]);
}

static void space(void)
{
	static const char *const spaces[] = {"", "", "", "", " ", "\n", "\t", "\r\n", "   "};

	one_of(spaces, sizeof spaces / sizeof *spaces);
}

static void number(void)
{
	static const char *const known[] = {
		"0",
		"-0",
		"-0.0",
		"9223372036854775807",
		"-9223372036854775808",
		"9223372036854775808",
		"1e400",
		"5e-324",
		"1.7976931348623157e308",
		"0.1",
		"1E5",
		"1e-7",
		"2.2250738585072011e-308",
		"123456789012345678901.5",
		"1e23",
		"9007199254740993.0",
		"0.30000000000000004",
	};
	char text[64];
	double real;
	uint64_t bits = unit_random(&state);

	switch (below(5)) {
	case 0:
		one_of(known, sizeof known / sizeof *known);
		return;
	case 1:
		(void)snprintf(text, sizeof text, "%lld", (long long)(int64_t)bits >> below(64));
		break;
	case 2:
		(void)snprintf(text, sizeof text, "%llu.%0*llu",
			(unsigned long long)(bits >> (40 + below(24))), (int)(1 + below(20)),
			(unsigned long long)(bits & 0xFFFFF));
		break;
	case 3:
		(void)snprintf(text, sizeof text, "%s%llue%s%u", below(2) != 0 ? "-" : "",
			(unsigned long long)(bits >> (14 + below(50))),
			below(3) == 0           ? "-"
				: below(2) != 0 ? "+"
						: "",
			below(340));
		break;
	default:
		memcpy(&real, &bits, sizeof real);
		(void)snprintf(text, sizeof text, "%.*e", (int)below(25),
			real == real && real - real == 0 ? real : 1.5);
		break;
	}
	buffer_text(&out, text);
}

static void string(void)
{
	static const char *const pieces[] = {
		"a",
		"b",
		"abc",
		" ",
		"\\n",
		"\\\"",
		"\\\\",
		"\\/",
		"\\u0061",
		"\\u00e9",
		"\\ud83d\\udeb4",
		"\\u001f",
		"\xC3\xA9",
		"\xE2\x82\xAC",
		"\xF0\x9F\x9A\xB4",
		"0123456789abcdef",
		"\x7F",
		"\\u2028",
		"\\b\\f\\r\\t",
		"id",
		"e",
		"\\uFFFF",
		"/",
	};
	static const char *const rare[] = {
		"\\u0000", "\\ud800", "\\udc00", "\xC0\x80", "\xED\xA0\x80", "\n", "\\x", "\\u12"};

	buffer_byte(&out, '"');
	for (unsigned count = below(5); count > 0; count--)
		one_of(pieces, sizeof pieces / sizeof *pieces);
	if (below(200) == 0)
		one_of(rare, sizeof rare / sizeof *rare);
	buffer_byte(&out, '"');
}

static void value(unsigned depth)
{
	static const char *const words[] = {"null", "true", "false"};
	unsigned kind = depth == 0 || out.length > BIGGEST ? 2 + below(6) : below(8), count;

	space();
	if (kind < 2) {
		count = below(20) == 0 ? below(60) : below(5);
		buffer_byte(&out, "{["[kind]);
		for (unsigned i = 0; i < count; i++) {
			if (i > 0)
				buffer_byte(&out, ',');
			space();
			if (kind == 0) {
				string();
				space();
				buffer_byte(&out, ':');
			}
			value(depth - 1);
		}
		space();
		buffer_byte(&out, "}]"[kind]);
	} else if (kind < 4) {
		string();
	} else if (kind < 7) {
		number();
	} else {
		one_of(words, 3);
	}
	space();
}

/* One change of the text: a byte, a part removed, a part inserted, a part repeated. */
static size_t damage(char *text, size_t length, size_t room)
{
	static const char *const pieces[] = {
		"{",
		"}",
		"[",
		"]",
		",",
		":",
		"\"",
		"\\",
		"0",
		"-",
		".",
		"e",
		"\\u00",
		"\\ud800",
		"\x80",
		"\xC3",
		"\xEF\xBB\xBF",
		"null",
		"\\u0000",
		"\"a\":1,",
		"\n",
		" ",
		"1e999",
		"99999999999999999999",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	};
	size_t at = below((unsigned)length + 1), count, piece_length;
	const char *piece = pieces[below(sizeof pieces / sizeof *pieces)];

	switch (below(4)) {
	case 0:
		if (at < length)
			text[at] = (char)(text[at] ^ 1 << below(8));
		return length;
	case 1:
		count = below(8);
		count = count < length - at ? count : length - at;
		memmove(text + at, text + at + count, length - at - count);
		return length - count;
	case 2:
		piece_length = strlen(piece);
		if (length + piece_length > room)
			return length;
		memmove(text + at + piece_length, text + at, length - at);
		memcpy(text + at, piece, piece_length);
		return length + piece_length;
	default:
		count = below(32);
		count = count < length - at ? count : length - at;
		if (length + count > room)
			return length;
		memmove(text + at + count, text + at, length - at);
		return length + count;
	}
}

START_TEST(made_up_texts)
{
	static char text[65536];
	unsigned taken = 0, damaged_taken = 0, texts = unit_rounds(TEXTS);

	state = (uint64_t)_i + 1;
	for (unsigned i = 0; i < texts; i++) {
		size_t length;

		buffer_cut(&out, 0);
		value(below(8));
		taken += against_jansson(out.data, out.length);
		ck_assert_uint_lt(out.length, sizeof text - 1024);
		memcpy(text, out.data, out.length);
		length = out.length;
		for (unsigned k = 0; k < DAMAGED; k++) {
			length = damage(text, length, sizeof text);
			damaged_taken += against_jansson(text, length);
		}
	}
	buffer_free(&out);
	/* Otherwise the test would cover only refusals or only valid texts. */
	ck_assert_uint_gt(taken, texts / 2);
	ck_assert_uint_lt(taken, texts - texts / 50);
	ck_assert_uint_gt(damaged_taken, texts / 2);
	ck_assert_uint_lt(damaged_taken, texts * DAMAGED / 2);
}
END_TEST

/* Around the limit of nesting, where the two differ. */
START_TEST(nesting)
{
	char text[256];

	for (size_t depth = 1; depth <= 100; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		ck_assert_int_eq(against_jansson(text, 2 * depth), depth <= 64);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, made_up_texts, 0, 4);
	tcase_add_test(tests, nesting);
	return unit_run("json beside jansson", tests, true);
}
