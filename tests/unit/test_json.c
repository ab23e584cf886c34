/* The scanner: published texts, limits of numbers and nesting, duplicate names, Unicode. Would
 * catch: any text that is accepted although the protocol refuses it, or the reverse, an altered
 * number, a misplaced node. */
#include <dirent.h>
#include <math.h>
#include <string.h>

#include "../../protocol/json/json.h"
#include "unit.h"

static char suite_path[512];
static struct json json;
static struct err err;
static struct arena arena;

static void set_up(void)
{
	arena_init(&arena);
}

static void tear_down(void)
{
	json_scan_free(&json);
	arena_free(&arena);
}

/* The text is alone in its memory, so that the sanitizers detect a read beyond it. json.text is
 * freed then. */
static bool taken(const char *text, size_t length, unsigned depth)
{
	char *alone = malloc(length + (length == 0));
	bool good;

	ck_assert_ptr_nonnull(alone);
	memcpy(alone, text, length);
	memset(&err, 0, sizeof err);
	good = json_scan(&json, alone, length, depth, &err) == 0;
	free(alone);
	if (!good) {
		ck_assert_int_eq(err.kind, ERR_PARSE_ERROR);
		ck_assert_int_gt((int)strlen(err.message), 10);
	}
	return good;
}

static void refuse(const char *text, const char *why)
{
	ck_assert_msg(!taken(text, strlen(text), 64), "taken: %.80s", text);
	ck_assert_msg(strstr(err.message, why) != NULL, "%.80s: \"%s\" does not say \"%s\"", text,
		err.message, why);
}

static void take(const char *text)
{
	ck_assert_msg(taken(text, strlen(text), 64), "refused: %.80s: %s", text, err.message);
}

/* What the suite accepts and the protocol refuses: duplicate member names and U+0000. */
static const char *const stricter[] = {
	"y_object_duplicated_key.json",
	"y_object_duplicated_key_and_value.json",
	"y_object_escaped_null_in_key.json",
	"y_string_null_escape.json",
};
/* What the suite leaves open and the protocol accepts: numbers that are too small for a double
 * only lose precision. */
static const char *const open_taken[] = {
	"i_number_double_huge_neg_exp.json", "i_number_real_underflow.json"};

static bool among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

START_TEST(published_texts)
{
	DIR *folder = opendir(suite_path);
	unsigned count = 0, exceptions = 0;

	ck_assert_ptr_nonnull(folder);
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		char path[1024], *text;
		size_t length;
		bool want;

		if (strstr(entry->d_name, ".json") == NULL)
			continue;
		bool special =
			among(entry->d_name, stricter, 4) || among(entry->d_name, open_taken, 2);
		want = (entry->d_name[0] == 'y') != special;
		(void)snprintf(path, sizeof path, "%s/%s", suite_path, entry->d_name);
		text = unit_read(path, &length);
		ck_assert_msg(taken(text, length, 64) == want, "%s is %s", entry->d_name,
			want ? "refused" : "taken");
		free(text);
		exceptions += special;
		count++;
	}
	(void)closedir(folder);
	ck_assert_uint_ge(count, 318);
	ck_assert_uint_eq(exceptions, 6);
}
END_TEST

START_TEST(integers)
{
	static const struct {
		const char *text;
		int64_t value;
	} good[] = {
		{"0", 0},
		{"-0", 0},
		{"7", 7},
		{"-7", -7},
		{"9223372036854775807", INT64_MAX},
		{"-9223372036854775808", INT64_MIN},
		{"9223372036854775806", INT64_MAX - 1},
		{"-9223372036854775807", INT64_MIN + 1},
		{"1000000000000000000", 1000000000000000000},
		{"999999999999999999", 999999999999999999},
	};
	static const char *const beyond[] = {
		"9223372036854775808",
		"-9223372036854775809",
		"10000000000000000000",
		"-10000000000000000000",
		"18446744073709551616",
		"99999999999999999999999999999999999999999999",
	};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ck_assert_int_eq(json_scan(&json, good[i].text, strlen(good[i].text), 64, &err), 0);
		ck_assert_int_eq(json.nodes[0].type, JSON_INTEGER);
		ck_assert_int_eq(json_scan_integer(&json, 0), good[i].value);
		ck_assert_double_eq(json_scan_real(&json, 0), (double)good[i].value);
	}
	for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++)
		refuse(beyond[i], "beyond 64 bits");
	refuse("[1,9223372036854775808]", "beyond 64 bits");
}
END_TEST

static void real_is(const char *text, size_t length, double want, bool awkward)
{
	memset(&err, 0, sizeof err);
	ck_assert_msg(
		json_scan(&json, text, length, 64, &err) == 0, "%.80s: %s", text, err.message);
	ck_assert_int_eq(json.nodes[0].type, JSON_REAL);
	double got = json_scan_real(&json, 0);
	ck_assert_msg(memcmp(&got, &want, sizeof got) == 0, "%.80s is read as %.17g", text, got);
	ck_assert_msg(((json.nodes[0].flags & JSON_AWKWARD) != 0) == awkward,
		"%.80s: awkward is wrong", text);
}

START_TEST(reals)
{
	static const struct {
		const char *text;
		double value;
		bool awkward;
	} good[] = {
		{"0.0", 0.0, false},
		{"-0.0", -0.0, true},
		{"0e0", 0.0, true},
		{"1.5", 1.5, false},
		{"-1.5", -1.5, false},
		{"1e3", 1000.0, true},
		{"1E+3", 1000.0, true},
		{"1e-3", 0.001, true},
		{"0.1", 0.1, false},
		{"123456789012345678.5", 123456789012345678.5, false},
		{"9007199254740993.0", 9007199254740992.0, false},
		{"9007199254740993.00000000000000000001", 9007199254740994.0, false},
		{"1.7976931348623157e308", 1.7976931348623157e308, true},
		{"17976931348623157e292", 1.7976931348623157e308, true},
		{"1.7976931348623158e308", 1.7976931348623157e308, true},
		{"5e-324", 5e-324, true},
		{"2e-324", 0.0, true},
		{"1e-400", 0.0, true},
		{"-1e-400", -0.0, true},
		{"1e-99999999999999999999", 0.0, true},
		{"0e99999999999999999999", 0.0, true},
		{"2.2250738585072011e-308", 2.2250738585072011e-308, true},
		{"1e22", 1e22, true},
		{"1e23", 1e23, true},
		{"8.41e21", 8.41e21, true},
		{"0.000000000000000000000000000001", 1e-30, false},
		{"2.47032822920623272088284396434110686182e-324", 0.0, true},
		{"2.47032822920623272088284396434110686183e-324", 5e-324, true},
	};
	static const char *const beyond[] = {
		"1e400",
		"-1e400",
		"1e309",
		"1.7976931348623159e308",
		"1e99999999999999999999",
		"123e4567890",
		"[0.1,1e400]",
	};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		real_is(good[i].text, strlen(good[i].text), good[i].value, good[i].awkward);
	for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++)
		refuse(beyond[i], "beyond a double");
}
END_TEST

/* A hundred thousand digits: 1.000…, 1000….0, 0.000…1e100000, and a half-way case that only its
 * last digit decides. */
START_TEST(very_long_numbers)
{
	enum { DIGITS = 100000 };
	char *text = malloc(DIGITS + 64);

	ck_assert_ptr_nonnull(text);
	memcpy(text, "1.", 2);
	memset(text + 2, '0', DIGITS);
	real_is(text, DIGITS + 2, 1.0, true);
	memcpy(text, "0.", 2);
	memcpy(text + 2 + DIGITS, "1e100001", 8);
	real_is(text, DIGITS + 10, 1.0, true);
	text[0] = '1';
	memset(text + 1, '0', DIGITS);
	memcpy(text + 1 + DIGITS, ".5e-100000", 10);
	real_is(text, DIGITS + 11, 1.0, true);
	text[1 + DIGITS + 2] = ' ';
	ck_assert(!taken(text, DIGITS + 3, 64)); /* 10^100000 itself */
	(void)snprintf(text, 64, "9007199254740993.");
	memset(text + 17, '0', DIGITS);
	real_is(text, 17 + DIGITS, 9007199254740992.0, true);
	text[16 + DIGITS] = '1';
	real_is(text, 17 + DIGITS, 9007199254740994.0, true);
	free(text);
}
END_TEST

/* depth nested containers, the innermost empty; objects and arrays alternate when mixed. */
static bool nested(unsigned depth, unsigned limit, bool mixed, bool closed)
{
	char *text = malloc(depth * 6 + 1), *at = text;
	bool good;

	ck_assert_ptr_nonnull(text);
	for (unsigned i = 0; i < depth; i++)
		at = mixed && i % 2 == 0 && i + 1 < depth ? stpcpy(at, "{\"a\":") : stpcpy(at, "[");
	for (unsigned i = depth; closed && i-- > 0;)
		*at++ = mixed && i % 2 == 0 && i + 1 < depth ? '}' : ']';
	good = taken(text, (size_t)(at - text), limit);
	free(text);
	return good;
}

START_TEST(nesting)
{
	for (int mixed = 0; mixed < 2; mixed++) {
		for (unsigned depth = 1; depth <= 64; depth++)
			ck_assert_msg(nested(depth, 64, mixed, true), "depth %u is refused: %s",
				depth, err.message);
		ck_assert(!nested(65, 64, mixed, true));
		ck_assert_ptr_nonnull(strstr(err.message, "too deep"));
		ck_assert(!nested(100000, 64, mixed, true));
		ck_assert_ptr_nonnull(strstr(err.message, "too deep"));
		ck_assert(nested(128, 128, mixed, true));
		ck_assert(!nested(129, 128, mixed, true));
		ck_assert(nested(256, 100000, mixed, true));
		ck_assert(!nested(257, 100000, mixed,
			true)); /* the scanner's own limit, whatever the caller allows */
		for (unsigned depth = 1; depth < 70; depth++)
			ck_assert(!nested(depth, 64, mixed, false));
	}
	ck_assert(taken("1", 1, 0));
	ck_assert(!taken("[]", 2, 0));
	/* Containers side by side are not nested. */
	take("[[[]],[[]],[[]],{\"a\":[]},{\"b\":{}}]");
}
END_TEST

START_TEST(duplicate_names)
{
	static const char *const bad[] = {
		"{\"a\":1,\"a\":1}",
		"{\"a\":1,\"b\":2,\"a\":3}",
		"{\"\":1,\"\":2}",
		"{\"a\":1,\"\\u0061\":2}",
		"{\"\\u0061\":1,\"a\":2}",
		"{\"\\u0061\":1,\"\\u0061\":2}",
		"{\"\\n\":1,\"\\u000a\":2}",
		"{\"\\u000A\":1,\"\\u000a\":2}",
		"{\"/\":1,\"\\/\":2}",
		"{\"\xF0\x9F\x9A\xB4\":1,\"\\ud83d\\udeb4\":2}",
		"{\"\xC3\xA9\":1,\"\\u00e9\":2}",
		"[{\"x\":{\"a\":1,\"a\":2}}]",
		"{\"a\":{\"b\":[1,2]},\"c\":{},\"a\":0}",
		"{\"jsonrpc\":1,\"jsonrpc\":2}",
	};
	static const char *const good[] = {
		"{\"a\":1,\"A\":1}",
		"{\"a\":{\"a\":{\"a\":1}}}",
		"[{\"a\":1},{\"a\":1}]",
		"{\"a\":\"b\",\"b\":\"a\"}",
		"{\"a\":1,\"a\\u0301\":2}",
		"{\"\\\\u0061\":1,\"a\":2}",
		"{\"a\":1,\"a \":2,\" a\":3,\"\":4}",
		"{\"\xC3\xA9\":1,\"e\xCC\x81\":2}",
		"{\"ab\":1,\"a\":2,\"abc\":3}",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refuse(bad[i], "twice");
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		take(good[i]);
}
END_TEST

/* An object of `count` members; the last repeats the one at `again` (-1: none), raw or escaped. */
static bool many_members(int count, int again, bool escaped)
{
	char *text = malloc((size_t)count * 24 + 64), *at = stpcpy(text, "{");
	bool good;

	for (int i = 0; i < count; i++)
		at += sprintf(at, i % 5 == 4 ? "%s\"\\u006%d%d\":%d" : "%s\"n%d%d\":%d",
			i > 0 ? "," : "", i % 10, i, i);
	if (again >= 0 && again % 5 == 4)
		at += sprintf(at, escaped ? ",\"\\u006%d%d\":0" : ",\"%c%d\":0",
			escaped ? again % 10 : "`abcdefghi"[again % 10], again);
	else if (again >= 0)
		at += sprintf(
			at, escaped ? ",\"\\u006E%d%d\":0" : ",\"n%d%d\":0", again % 10, again);
	at = stpcpy(at, "}");
	good = taken(text, (size_t)(at - text), 64);
	free(text);
	return good;
}

START_TEST(many_names)
{
	static const int counts[] = {1, 2, 15, 16, 17, 18, 31, 32, 33, 63, 64, 65, 1000, 100000};

	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		ck_assert_msg(many_members(counts[i], -1, false), "%d members: %s", counts[i],
			err.message);
		for (int escaped = 0; escaped < 2; escaped++) {
			ck_assert(!many_members(counts[i], 0, escaped));
			ck_assert(!many_members(counts[i], counts[i] - 1, escaped));
			ck_assert(!many_members(counts[i], counts[i] / 2, escaped));
		}
	}
}
END_TEST

START_TEST(unicode)
{
	static const char *const zeros[] = {
		"\"\\u0000\"", "{\"\\u0000\":1}", "\"a\\u0000b\"", "\"aaaaaaaaaaaaaaaa\\u0000\""};
	static const char *const surrogates[] = {
		"\"\\ud800\"",
		"\"\\udfff\"",
		"\"\\ud800\\u0041\"",
		"\"\\ud800a\"",
		"\"\\udc00\\ud800\"",
		"\"\\ud800\\ud800\"",
		"\"\\ud800\\\"",
		"\"\\uDBFF\\uE000\"",
		"\"\\ud800\\n\"",
		"{\"\\ud800\":1}",
		"\"\\ud83d\\ude\"",
		"\"\\ud83d",
	};
	static const char *const invalid[] = {
		"\"\x80\"",
		"\"\xC0\x80\"",
		"\"\xC1\xBF\"",
		"\"\xE0\x80\x80\"",
		"\"\xED\xA0\x80\"",
		"\"\xED\xBF\xBF\"",
		"\"\xF0\x80\x80\x80\"",
		"\"\xF4\x90\x80\x80\"",
		"\"\xF5\x80\x80\x80\"",
		"\"\xFF\"",
		"\"\xC3\"",
		"\"\xE2\x82\"",
		"\"\xF0\x9F\x9A\"",
		"\"abcdefgh\xC3\"",
	};
	static const char *const good[] = {
		"\"\\u0001\"",
		"\"\\ud83d\\udeb4\"",
		"\"\\uDBFF\\uDFFF\"",
		"\"\\ud7ff\\ue000\"",
		"\"\xF4\x8F\xBF\xBF\"",
		"\"\xEF\xBF\xBF\"",
		"\"\x7F\"",
		"\"\xEF\xBB\xBF\"",
		"\"\\\\u0000\"",
		"\"\\\\ud800\"",
	};

	for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
		refuse(zeros[i], "U+0000");
	for (size_t i = 0; i < sizeof surrogates / sizeof *surrogates; i++)
		refuse(surrogates[i], "");
	for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
		refuse(invalid[i], "UTF-8");
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		take(good[i]);
	refuse("\xEF\xBB\xBF{}", "unexpected"); /* a byte order mark */
	ck_assert(!taken("\"\0\"", 3, 64));
	ck_assert(!taken("1\0", 2, 64));
	ck_assert(!taken("\"abcdefg\0\"", 10, 64));
	for (int c = 1; c < 32; c++) {
		char text[] = {'"', 'a', 'b', (char)c, 'c', '"'};

		ck_assert(!taken(text, sizeof text, 64));
	}
}
END_TEST

START_TEST(strings_come_out)
{
	static const char raw[] =
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\udeb4x\"";
	static const char want[] = "\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x9A\xB4x";
	size_t length;

	ck_assert_int_eq(json_scan(&json, raw, strlen(raw), 64, &err), 0);
	ck_assert_int_eq(json.nodes[0].flags, JSON_ESCAPED);
	const char *text = json_scan_text(&json, 0, &arena, &length);
	ck_assert_uint_eq(length, sizeof want - 1);
	ck_assert_mem_eq(text, want, length);
	ck_assert_int_eq(json_scan(&json, "\"plain\"", 7, 64, &err), 0);
	ck_assert_int_eq(json.nodes[0].flags, 0);
	text = json_scan_text(&json, 0, &arena, &length);
	ck_assert_ptr_eq(text, json.text + 1);
	ck_assert_uint_eq(length, 5);
	/* A string of each length, with each byte that ends the fast path at each place. */
	for (size_t size = 0; size < 40; size++)
		for (size_t at = 0; at < size; at++) {
			char longer[64];

			memset(longer, 'x', sizeof longer);
			longer[0] = longer[size + 1] = '"';
			longer[at + 1] = '\x1F';
			ck_assert(!taken(longer, size + 2, 64));
			longer[at + 1] = '"';
			ck_assert(!taken(longer, size + 2, 64));
			longer[at + 1] = '\xFF';
			ck_assert(!taken(longer, size + 2, 64));
			longer[at + 1] = '!';
			ck_assert(taken(longer, size + 2, 64));
			ck_assert_uint_eq(json.nodes[0].length, size);
		}
}
END_TEST

START_TEST(nodes)
{
	static const char text[] =
		" { \"a\" : [ 1 , -2.5 , true ] , \"b\\u0063\" : { } , \"\" : null ,"
		" \"s\" : \"x\" } ";
	static const struct {
		int type;
		uint32_t next, count;
		const char *raw;
	} want[] = {
		{JSON_OBJECT, 12, 4,
			"{ \"a\" : [ 1 , -2.5 , true ] , \"b\\u0063\" : { } , \"\" : null ,"
			" \"s\" : \"x\" }"},
		{JSON_STRING, 2, 0, "a"},
		{JSON_ARRAY, 6, 3, "[ 1 , -2.5 , true ]"},
		{JSON_INTEGER, 4, 0, "1"},
		{JSON_REAL, 5, 0, "-2.5"},
		{JSON_TRUE, 6, 0, "true"},
		{JSON_STRING, 7, 0, "b\\u0063"},
		{JSON_OBJECT, 8, 0, "{ }"},
		{JSON_STRING, 9, 0, ""},
		{JSON_NULL, 10, 0, "null"},
		{JSON_STRING, 11, 0, "s"},
		{JSON_STRING, 12, 0, "x"},
	};

	ck_assert_int_eq(json_scan(&json, text, sizeof text - 1, 64, &err), 0);
	ck_assert_uint_eq(json.count, sizeof want / sizeof *want);
	for (size_t i = 0; i < json.count; i++) {
		ck_assert_int_eq(json.nodes[i].type, want[i].type);
		ck_assert_uint_eq(json.nodes[i].next, want[i].next);
		ck_assert_uint_eq(json.nodes[i].count, want[i].count);
		ck_assert_uint_eq(json.nodes[i].length, strlen(want[i].raw));
		ck_assert_mem_eq(text + json.nodes[i].start, want[i].raw, strlen(want[i].raw));
	}
	ck_assert_uint_eq(json_member(&json, 0, "a", 1), 2);
	ck_assert_uint_eq(json_member(&json, 0, "bc", 2), 7);
	ck_assert_uint_eq(json_member(&json, 0, "", 0), 9);
	ck_assert_uint_eq(json_member(&json, 0, "b", 1), 0);
	ck_assert_uint_eq(json_member(&json, 0, "b\\u0063", 7), 0);
	ck_assert_uint_eq(json_member(&json, 7, "a", 1), 0);
}
END_TEST

/* JSON_AWKWARD is set on the number and on everything around it, and on nothing else. */
START_TEST(awkward)
{
	static const char text[] =
		"{\"a\":[1.5,{\"b\":[1e2]}],\"c\":[1.5,2],\"d\":\"1e2\",\"e\":-0}";
	unsigned count = 0;

	ck_assert_int_eq(json_scan(&json, text, sizeof text - 1, 64, &err), 0);
	for (size_t i = 0; i < json.count; i++)
		count += (json.nodes[i].flags & JSON_AWKWARD) != 0;
	ck_assert_uint_eq(count, 5);
	ck_assert(json.nodes[0].flags & JSON_AWKWARD);
	ck_assert(!(json.nodes[json_member(&json, 0, "c", 1)].flags & JSON_AWKWARD));
	ck_assert(json.nodes[json_member(&json, 0, "a", 1)].flags & JSON_AWKWARD);
}
END_TEST

START_TEST(broken_texts)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"}",
		"[",
		"]",
		"[1",
		"[1,",
		"[1,]",
		"[,1]",
		"[1 2]",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{,}",
		"{a:1}",
		"{1:1}",
		"{\"a\" 1}",
		"{\"a\":1 \"b\":2}",
		"[}",
		"{]",
		"[1}",
		"{\"a\":1]",
		"1 2",
		"{}{}",
		"[]x",
		"nul",
		"nulll",
		"True",
		"tru",
		"-",
		"+1",
		".5",
		"1.",
		"01",
		"-01",
		"1e",
		"1e+",
		"0x1",
		"1_0",
		"NaN",
		"Infinity",
		"'a'",
		"\"",
		"\"a",
		"\"\\\"",
		"\"\\x\"",
		"\"\\u12\"",
		"\"\\u123g\"",
		"//c\n1",
		"/**/1",
		"\v1",
		"\f1",
		"1\xC2\xA0",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refuse(bad[i], "not a JSON text");
	/* No proper prefix of a valid text is valid. */
	static const char good[] = "{\"a\":[1.5,true,null,\"\\ud83d\\udeb4\"],\"b\":{\"c\":-1e5}}";
	take(good);
	for (size_t length = 0; length < sizeof good - 1; length++)
		ck_assert(!taken(good, length, 64));
	take("\t\r\n [ ] \n");
}
END_TEST

int main(void)
{
	bool suite = unit_data("data/jsontestsuite/test_parsing", suite_path, sizeof suite_path);
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	if (suite)
		tcase_add_test(tests, published_texts);
	tcase_add_test(tests, integers);
	tcase_add_test(tests, reals);
	tcase_add_test(tests, very_long_numbers);
	tcase_add_test(tests, nesting);
	tcase_add_test(tests, duplicate_names);
	tcase_add_test(tests, many_names);
	tcase_add_test(tests, unicode);
	tcase_add_test(tests, strings_come_out);
	tcase_add_test(tests, nodes);
	tcase_add_test(tests, awkward);
	tcase_add_test(tests, broken_texts);
	return unit_run("json", tests, suite);
}
