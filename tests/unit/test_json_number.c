/* Doubles to the shortest decimal and back, compared with the library's printf and strtod. Would
 * catch: a digit that differs from the result of trying every precision, a number read one bit
 * off (halves, denormals, cut digits), a wrong power in the table. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "../../protocol/json/json.h"
#include "../../protocol/json/json_number.h"
#include "unit.h"

enum { RANDOM_DIGITS = 500000, RANDOM_TEXTS = 500000, SLOW_COST = 200 };

/* Adds one in the last place of `d.ddde-10`; false when that needs another leading digit. */
static bool step_up(char *text)
{
	for (char *p = strchr(text, 'e') - 1; p >= text; p--) {
		if (*p < '0' || *p > '9')
			continue;
		if (*p != '9') {
			++*p;
			return true;
		}
		*p = '0';
	}
	return false;
}

/* By trial: the fewest digits whose nearest decimal, or the one above it, reads back. */
static int tried(double value, char digits[18], int *exponent)
{
	char text[40];

	for (int precision = value < DBL_MIN ? 0 : 14; precision <= 16; precision++) {
		int count = 0;
		const char *p = text;

		(void)snprintf(text, sizeof text, "%.*e", precision, value);
		if (precision < 16 && strtod(text, NULL) != value &&
			(!step_up(text) || strtod(text, NULL) != value))
			continue;
		for (; *p != 'e'; p++)
			if (*p >= '0' && *p <= '9')
				digits[count++] = *p;
		*exponent = atoi(p + 1);
		while (count > 1 && digits[count - 1] == '0')
			count--;
		return count;
	}
	return 0;
}

static void compare(double value)
{
	char got[JSON_NUMBER_DIGITS], want[18];
	int got_exponent, want_exponent, got_count, want_count;

	if (!isfinite(value))
		return;
	value = fabs(value);
	got_count = json_number_digits(value, got, &got_exponent);
	want_count = tried(value, want, &want_exponent);
	ck_assert_msg(got_count == want_count && got_exponent == want_exponent &&
			memcmp(got, want, (size_t)got_count) == 0,
		"%.17g: %.*se%d, by trial %.*se%d", value, got_count, got, got_exponent, want_count,
		want, want_exponent);
}

static double from_bits(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

/* Every exponent with fractions at both ends and at random; short decimals; denormals with few
 * bits. */
START_TEST(digits)
{
	uint64_t state = 20261127;

	for (uint64_t biased = 0; biased < 2047; biased++)
		for (uint64_t i = 0; i < 12; i++) {
			uint64_t fraction = i < 4 ? i
				: i < 8           ? (UINT64_C(1) << 52) - (i - 3)
						  : unit_random(&state) >> 12;

			compare(from_bits(biased << 52 | fraction));
		}
	for (unsigned i = 0, max = unit_rounds(RANDOM_DIGITS); i < max; i++) {
		uint64_t bits = unit_random(&state);

		switch (i % 4) {
		case 0:
			compare(from_bits(bits));
			break;
		case 1:
			compare((double)(bits % 1000000007) / pow(10, (double)(bits >> 40 & 15)));
			break;
		case 2:
			compare(from_bits((bits >> 12) >> (bits & 63) % 52));
			break;
		default:
			compare((double)(bits >> (bits & 63)));
			break;
		}
	}
}
END_TEST

static void read_one(const char *text)
{
	struct json json = {0};
	double want = strtod(text, NULL), got;

	if (!isfinite(want)) {
		ck_assert_msg(json_scan(&json, text, strlen(text), 1, NULL) < 0,
			"%s is beyond a double", text);
	} else {
		ck_assert_msg(
			json_scan(&json, text, strlen(text), 1, NULL) == 0, "%s is not read", text);
		got = json_scan_real(&json, 0);
		ck_assert_msg(memcmp(&got, &want, sizeof got) == 0, "%s is read as %.17g, is %.17g",
			text, got, want);
	}
	json_scan_free(&json);
}

/* Exactly between two doubles, written in full, and slightly above and below it. */
static void halves(double value)
{
	char text[1200];
	long double half = ((long double)value + (long double)nextafter(value, INFINITY)) / 2;
	size_t length = (size_t)snprintf(text, sizeof text - 4, "%.1080Lf", half);

	if (value == 0 || value > 1e60 || length >= sizeof text - 4)
		return;
	read_one(text);
	text[length - 1] = '1';
	read_one(text);
	(void)snprintf(text, sizeof text, "%.20Le", half);
	read_one(text);
}

START_TEST(texts)
{
	static const char *const edges[] = {
		"2.2250738585072011e-308",
		"2.2250738585072014e-308",
		"4.9406564584124654e-324",
		"2.4703282292062327e-324",
		"2.4703282292062328e-324",
		"1.7976931348623157e308",
		"1.7976931348623158e308",
		"1.7976931348623159e308",
		"1e-400",
		"1e400",
		"0e99999",
		"0.0e-99999",
		"1e-9223372036854775808",
		"9007199254740993.0",
		"9007199254740992.5",
		"9007199254740993.00000000000000000000001",
		"4503599627370496.5",
		"4503599627370497.5",
		"123456789012345678e-5",
		"18446744073709551615.0",
		"9999999999999999999.9",
		"99999999999999999999e-1",
		"0.00000000000000000000000000001e25",
		"1e22",
		"1e23",
		"1.0e-22",
		"8.5e-323",
		"1e-5000000000",
		"0.1e1000000",
		"5e-324",
		"3e-324",
		"2e-324",
	};
	uint64_t state = 4711;
	char text[96];

	for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
		read_one(edges[i]);
	for (unsigned i = 0, max = unit_rounds(RANDOM_TEXTS); i < max; i++) {
		uint64_t a = unit_random(&state), b = unit_random(&state);
		int exponent = (int)(b % 700) - 350;

		if (i % 3 == 0)
			(void)snprintf(text, sizeof text, "%llu.0e%d",
				(unsigned long long)(a >> (b >> 58)), exponent);
		else if (i % 3 == 1)
			(void)snprintf(text, sizeof text, "%llu.%llu%llue%d", (unsigned long long)a,
				(unsigned long long)b, (unsigned long long)a, exponent);
		else
			(void)snprintf(text, sizeof text, "%.*e", (int)(b % 25),
				from_bits(a & ~(UINT64_C(1) << 63)));
		if (strchr(text, 'n') == NULL) /* inf, nan */
			read_one(text);
		if (i % SLOW_COST == 0)
			halves(ldexp((double)(a >> 11 | UINT64_C(1) << 52), -(int)(b % 110)));
	}
}
END_TEST

/* Each power of ten, written in the forms that use another row of the table. */
START_TEST(powers)
{
	char text[32];

	for (int e = -345; e <= 310; e++)
		for (int shift = 0; shift < 19; shift++) {
			(void)snprintf(text, sizeof text, "1%0*d.0e%d", shift, 0, e - shift);
			read_one(text);
			(void)snprintf(text, sizeof text, "9%0*d.0e%d", shift, 7, e - shift);
			read_one(text);
		}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, digits);
	tcase_add_test(tests, texts);
	tcase_add_test(tests, powers);
	return unit_run("json numbers", tests, true);
}
