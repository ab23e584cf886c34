/* The writers: reals as Python's repr writes them, integers, strings and whole values in compact
 * form. Would catch: a number that does not read back to the last bit or is longer than
 * necessary, an unescaped control character, a lost comma. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "../../protocol/json/json.h"
#include "unit.h"

enum { RANDOM_REALS = 1000000 };

static struct buffer out;
static struct arena arena;

static void set_up(void)
{
	arena_init(&arena);
}

static void tear_down(void)
{
	buffer_free(&out);
	arena_free(&arena);
}

static const char *real(double value)
{
	buffer_cut(&out, 0);
	json_write_real(&out, value);
	buffer_byte(&out, '\0');
	ck_assert_int_eq(out.failure, BUFFER_OK);
	return out.data;
}

START_TEST(special_reals)
{
	static const struct {
		double value;
		const char *text;
	} known[] = {
		{0.0, "0.0"},
		{-0.0, "-0.0"},
		{1.0, "1.0"},
		{-1.0, "-1.0"},
		{50.0, "50.0"},
		{0.1, "0.1"},
		{0.5, "0.5"},
		{1.5, "1.5"},
		{100.25, "100.25"},
		{0.1 + 0.2, "0.30000000000000004"},
		{1.0 / 3.0, "0.3333333333333333"},
		{2.0 / 3.0, "0.6666666666666666"},
		{1e15, "1000000000000000.0"},
		{9999999999999998.0, "9999999999999998.0"},
		{1e16, "1e+16"},
		{12345678901234567.0, "1.2345678901234568e+16"},
		{1e22, "1e+22"},
		{1e23, "1e+23"},
		{1e100, "1e+100"},
		{1e308, "1e+308"},
		{1.7976931348623157e308, "1.7976931348623157e+308"},
		{0.0001, "0.0001"},
		{0.00012345, "0.00012345"},
		{0.00001, "1e-05"},
		{0.000012345, "1.2345e-05"},
		{1e-9, "1e-09"},
		{1e-10, "1e-10"},
		{1e-100, "1e-100"},
		{2.2250738585072014e-308, "2.2250738585072014e-308"},
		{2.225073858507201e-308, "2.225073858507201e-308"},
		{5e-324, "5e-324"},
		{1e-323, "1e-323"},
		{123456789012345680.0, "1.2345678901234568e+17"},
		{9007199254740993.0, "9007199254740992.0"},
		{2251799813685248.5, "2251799813685248.5"},
		{9.5367431640625e-07, "9.5367431640625e-07"},
		{5.960464477539063e-08, "5.960464477539063e-08"},
		{9.007199254740992e+22, "9.007199254740992e+22"},
		{1.1102230246251565e-16, "1.1102230246251565e-16"},
		{2e-44, "2e-44"},
		{9223372036854775808.0, "9.223372036854776e+18"},
		{-123.456, "-123.456"},
		{8.41e21, "8.41e+21"},
		{2.0, "2.0"},
		{1e21, "1e+21"},
		{179.0, "179.0"},
		{0.001, "0.001"},
		{42195.0, "42195.0"},
		{3.14159265358979, "3.14159265358979"},
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		ck_assert_str_eq(real(known[i].value), known[i].text);
}
END_TEST

/* The same value is read back by the library's strtod and by the scanner; fewer digits are not
 * enough. */
static void round_trip(double value)
{
	const char *text = real(value);
	double back = strtod(text, NULL), nearby;
	struct json json = {0};
	char shorter[64];
	int digits = 0;

	ck_assert_msg(
		memcmp(&back, &value, sizeof back) == 0, "%.17g is written as %s", value, text);
	ck_assert_int_eq(json_scan(&json, text, strlen(text), 1, NULL), 0);
	ck_assert_int_eq(json.nodes[0].type, JSON_REAL);
	nearby = json_scan_real(&json, 0);
	ck_assert_msg(
		memcmp(&nearby, &value, sizeof value) == 0, "%s is scanned as %.17g", text, nearby);
	json_scan_free(&json);
	for (const char *p = text + strspn(text, "-0."); *p != '\0' && *p != 'e'; p++)
		digits += *p != '.';
	if (strchr(text, 'e') == NULL) /* trailing zeros are places, not digits */
		for (const char *p = text + strlen(text) - 1; p > text && (*p == '0' || *p == '.');
			p--)
			digits -= *p == '0';
	if (digits > 1) {
		(void)snprintf(shorter, sizeof shorter, "%.*e", digits - 2, value);
		ck_assert_msg(strtod(shorter, NULL) != value, "%s could be %s", text, shorter);
	}
}

START_TEST(random_reals)
{
	uint64_t state = 20250619, bits;

	for (unsigned i = 0, max = unit_rounds(RANDOM_REALS); i < max; i++) {
		double value;

		bits = unit_random(&state);
		if (i % 4 == 1) /* short decimals, as in typical input */
			value = (double)(int64_t)(bits % 2000000001 - 1000000000) /
				pow(10, (double)(bits >> 40 & 7));
		else if (i % 4 == 2) /* denormals and their neighbours */
			bits &= UINT64_C(0x801FFFFFFFFFFFFF);
		else if (i % 4 == 3) /* powers of two and their neighbours */
			bits = (bits & UINT64_C(0x7FF0000000000000)) + (bits & 1) - (bits >> 1 & 1);
		if (i % 4 != 1)
			memcpy(&value, &bits, sizeof value);
		if (isfinite(value))
			round_trip(value);
	}
}
END_TEST

START_TEST(every_power)
{
	for (int e = -324; e <= 308; e++) {
		char text[16];

		(void)snprintf(text, sizeof text, "1e%d", e);
		round_trip(strtod(text, NULL));
	}
	for (int e = -1074; e <= 1023; e++) {
		round_trip(ldexp(1, e));
		round_trip(nextafter(ldexp(1, e), 0));
		round_trip(nextafter(ldexp(1, e), INFINITY));
	}
}
END_TEST

START_TEST(integers)
{
	uint64_t state = 7;

	for (unsigned i = 0, max = unit_rounds(100000); i < max; i++) {
		static const int64_t edges[] = {0, 1, -1, 9, 10, -9, -10, 99, 100, INT64_MAX,
			INT64_MIN, INT64_MAX - 1, INT64_MIN + 1};
		int64_t value = i < 13 ? edges[i] : (int64_t)(unit_random(&state) >> (i % 64));
		char want[32];

		(void)snprintf(want, sizeof want, "%" PRId64, value);
		buffer_cut(&out, 0);
		json_write_integer(&out, value);
		ck_assert_uint_eq(out.length, strlen(want));
		ck_assert_mem_eq(out.data, want, out.length);
	}
}
END_TEST

START_TEST(strings)
{
	for (int c = 1; c < 128; c++) {
		char text[] = {'a', (char)c, 'z'}, want[16];
		static const char shorts[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
		const char *found = strchr(shorts, c);

		if (found != NULL)
			(void)snprintf(want, sizeof want, "\"a\\%cz\"", names[found - shorts]);
		else
			(void)snprintf(want, sizeof want, c < 32 ? "\"a\\u%04xz\"" : "\"a%cz\"",
				(unsigned)c);
		buffer_cut(&out, 0);
		json_write_string(&out, text, 3);
		ck_assert_uint_eq(out.length, strlen(want));
		ck_assert_mem_eq(out.data, want, out.length);
	}
	buffer_cut(&out, 0);
	json_write_string(&out, "", 0);
	json_write_string(&out, "\xC3\xA9/\xF0\x9F\x9A\xB4\x7F", 8);
	ck_assert_mem_eq(out.data, "\"\"\"\xC3\xA9/\xF0\x9F\x9A\xB4\x7F\"", out.length);
	ck_assert_uint_eq(out.length, 12);
}
END_TEST

static void compact(const char *text, const char *want)
{
	struct json json = {0};
	struct err err = {.message = ""};

	ck_assert_msg(
		json_scan(&json, text, strlen(text), 64, &err) == 0, "%s: %s", text, err.message);
	buffer_cut(&out, 0);
	json_write_node(&out, &json, 0, &arena);
	buffer_byte(&out, '\0');
	ck_assert_str_eq(out.data, want);
	json_scan_free(&json);
}

START_TEST(values)
{
	static const char *const same[] = {
		"{}",
		"[]",
		"[[],[],{}]",
		"{\"a\":{},\"b\":[]}",
		"null",
		"true",
		"false",
		"\"\"",
		"0",
		"-0",
		"9223372036854775807",
		"1.50",
		"0.10",
		"100000000000000000000.0",
		"0.000000000000000000001",
		"[1,[2,[3,[4]],5],6]",
		"{\"a\":{\"b\":{\"c\":[1,{\"d\":null}]}},\"e\":1}",
		"[{\"a\":1},{\"a\":2}]",
		"{\"\":\"\"}",
		"\"a\\\\b\"",
		"[[[[[[[[]]]]]]]]",
	};
	static const char *const changed[][2] = {
		{" { \"a\" : [ 1 , 2 ] ,\n\"b\" :\t{ } } ", "{\"a\":[1,2],\"b\":{}}"},
		{"\"\\u0041\\/\\u00e9\"", "\"A/\xC3\xA9\""},
		{"\"\\ud83d\\udeb4\\u000a\\u001F\"", "\"\xF0\x9F\x9A\xB4\\n\\u001f\""},
		{"{\"\\u0061\":\"\\\"\"}", "{\"a\":\"\\\"\"}"},
		{"1e2", "100.0"},
		{"-0.0", "-0.0"},
		{"-0e5", "-0.0"},
		{"1e-400", "0.0"},
		{"1.0e16", "1e+16"},
		{"[1e2,1.50]", "[100.0,1.50]"},
		{"\"\\u007f\"", "\"\x7F\""},
		{"\"\\u2028\"", "\"\xE2\x80\xA8\""},
	};

	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		compact(same[i], same[i]);
	for (size_t i = 0; i < sizeof changed / sizeof *changed; i++)
		compact(changed[i][0], changed[i][1]);
}
END_TEST

/* A part of a value, and the deepest one that the scanner accepts. */
START_TEST(parts_and_depth)
{
	static const char parts[] = "{\"a\":[1, {\"b\" : 2}],\"c\":3}";
	struct json json = {0};
	char text[513];

	ck_assert_int_eq(json_scan(&json, parts, sizeof parts - 1, 64, NULL), 0);
	json_write_node(&out, &json, json_member(&json, 0, "a", 1), &arena);
	buffer_byte(&out, '|');
	json_write_node(&out, &json, json_member(&json, 0, "c", 1), &arena);
	ck_assert_uint_eq(out.length, 13);
	ck_assert_mem_eq(out.data, "[1,{\"b\":2}]|3", 13);
	memset(text, '[', 256);
	memset(text + 256, ']', 256);
	text[512] = '\0';
	ck_assert_int_eq(json_scan(&json, text, 512, 256, NULL), 0);
	buffer_cut(&out, 0);
	json_write_node(&out, &json, 0, &arena);
	ck_assert_uint_eq(out.length, 512);
	ck_assert_mem_eq(out.data, text, 512);
	json_scan_free(&json);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, special_reals);
	tcase_add_test(tests, random_reals);
	tcase_add_test(tests, every_power);
	tcase_add_test(tests, integers);
	tcase_add_test(tests, strings);
	tcase_add_test(tests, values);
	tcase_add_test(tests, parts_and_depth);
	return unit_run("json writers", tests, true);
}
