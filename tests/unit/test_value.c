/* Values: ids, times, addresses, UTF-8. Would catch: a time that is shifted by its offset the
 * wrong way or rounded, a day that does not exist, an id in another form, bytes that are
 * accepted as text. */
#include <string.h>
#include <time.h>

#include "../../protocol/value.h"
#include "unit.h"

static const int64_t second = 1000000, day = INT64_C(86400000000);

START_TEST(uuids)
{
	static const char canonical[] = "550e8400-e29b-41d4-a716-446655440000";
	static const char *const good[] = {
		"550e8400-e29b-41d4-a716-446655440000",
		"550E8400-E29B-41D4-A716-446655440000",
		"550e8400e29b41d4a716446655440000",
		"550E8400e29b41d4A716446655440000",
	};
	static const char *const bad[] = {
		"",
		"550e8400-e29b-41d4-a716-44665544000",
		"550e8400-e29b-41d4-a716-4466554400000",
		"550e8400e29b-41d4-a716-446655440000",
		"{550e8400-e29b-41d4-a716-446655440000}",
		"550e8400-e29b-41d4-a716-44665544000g",
		"550e8400-e29b-41d4-a716_446655440000",
		"550e8400e29b41d4a71644665544000",
		"550e8400e29b41d4a7164466554400000",
		"550e8400-e29b-41d4-a7164-46655440000",
		"550e8400-e29b-41d4-a716-4466554400\xC3\xA9",
		"------------------------------------",
		"550e8400e-29b-41d4-a716-446655440000",
		"urn:uuid:550e8400-e29b-41d4-a716-446655440000",
		" 50e8400-e29b-41d4-a716-446655440000",
		"0x0e8400e29b41d4a716446655440000",
	};
	char out[UUID_TEXT];
	unsigned char bytes[16];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ck_assert(uuid_parse(good[i], strlen(good[i]), out));
		ck_assert_mem_eq(out, canonical, UUID_TEXT);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!uuid_parse(bad[i], strlen(bad[i]), out), "%s was taken", bad[i]);
	for (int i = 0; i < 16; i++)
		bytes[i] = (unsigned char)(i * 17);
	uuid_from_bytes(bytes, out);
	ck_assert_mem_eq(out, "00112233-4455-6677-8899-aabbccddeeff", UUID_TEXT);
}
END_TEST

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, UUID_TEXT);
}

START_TEST(new_uuids)
{
	enum { COUNT = 10000 };
	static char made[COUNT][UUID_TEXT];
	char again[UUID_TEXT];

	for (int i = 0; i < COUNT; i++) {
		uuid_new(made[i]);
		ck_assert(uuid_parse(made[i], UUID_TEXT, again));
		ck_assert_mem_eq(made[i], again, UUID_TEXT);
		ck_assert_int_eq(made[i][14], '4');
		ck_assert_ptr_nonnull(memchr("89ab", made[i][19], 4));
	}
	qsort(made, COUNT, UUID_TEXT, compare);
	for (int i = 1; i < COUNT; i++)
		ck_assert_mem_ne(made[i - 1], made[i], UUID_TEXT);
}
END_TEST

START_TEST(times)
{
	static const struct {
		const char *text;
		const char *utc;
	} good[] = {
		{"2025-06-19T15:44:49.123456Z", "2025-06-19T15:44:49.123456Z"},
		{"2025-06-19t15:44:49z", "2025-06-19T15:44:49.000000Z"},
		{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"},
		{"2025-06-19T15:44:49.1Z", "2025-06-19T15:44:49.100000Z"},
		{"2025-06-19T15:44:49.123456789Z", "2025-06-19T15:44:49.123456Z"},
		{"2025-06-19T15:44:49.999999999Z", "2025-06-19T15:44:49.999999Z"},
		{"1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z"},
		{"2025-06-19T15:44:49+02:00", "2025-06-19T13:44:49.000000Z"},
		{"2025-06-19T15:44:49-05:30", "2025-06-19T21:14:49.000000Z"},
		{"2025-12-31T23:30:00-01:00", "2026-01-01T00:30:00.000000Z"},
		{"2025-01-01T00:30:00+01:00", "2024-12-31T23:30:00.000000Z"},
		{"2024-02-29T12:00:00+00:00", "2024-02-29T12:00:00.000000Z"},
		{"2000-02-29T12:00:00-00:00", "2000-02-29T12:00:00.000000Z"},
		{"0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000Z"},
		{"9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
		{"0000-01-01T12:00:00+12:00", "0000-01-01T00:00:00.000000Z"},
		{"9999-12-31T12:00:00-11:59", "9999-12-31T23:59:00.000000Z"},
		{"2025-06-19T15:44:49+23:59", "2025-06-18T15:45:49.000000Z"},
		{"0000-02-29T00:00:00Z", "0000-02-29T00:00:00.000000Z"},
	};
	static const char *const bad[] = {
		"",
		"2025-06-19",
		"2025-06-19T15:44:49",
		"2025-06-19 15:44:49Z",
		"2025-06-19T15:44Z",
		"2025-6-19T15:44:49Z",
		"25-06-19T15:44:49Z",
		"2025-06-19T15:44:60Z",
		"2025-06-30T23:59:60Z",
		"2025-06-19T24:00:00Z",
		"2025-06-19T15:60:00Z",
		"2025-13-01T00:00:00Z",
		"2025-00-01T00:00:00Z",
		"2025-01-00T00:00:00Z",
		"2025-01-32T00:00:00Z",
		"2025-04-31T00:00:00Z",
		"2025-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2025-06-19T15:44:49.Z",
		"2025-06-19T15:44:49.1234567890Z",
		"2025-06-19T15:44:49+2:00",
		"2025-06-19T15:44:49+0200",
		"2025-06-19T15:44:49+02",
		"2025-06-19T15:44:49+24:00",
		"2025-06-19T15:44:49+02:60",
		"2025-06-19T15:44:49Z ",
		" 2025-06-19T15:44:49Z",
		"2025-06-19T15:44:49ZZ",
		"2025-06-19T15:44:49,5Z",
		"+2025-06-19T15:44:49Z",
		"2025-06-19T15:44:49+02:00Z",
		"2025-06-19T15:44:49.123456+",
		"10000-01-01T00:00:00Z",
		"0000-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01",
		"2025-06-19T15:44:49 Z",
		"now",
		"1750000000",
		"2025-06-19T1\xC3\xA9:44:49Z",
	};
	char out[TIMESTAMP_TEXT_MAX];
	int64_t micros, again;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ck_assert_msg(timestamp_parse(good[i].text, strlen(good[i].text), &micros), "%s",
			good[i].text);
		ck_assert_uint_eq(timestamp_format(micros, out), 27);
		ck_assert_msg(memcmp(out, good[i].utc, 27) == 0, "%s is %.27s", good[i].text, out);
		ck_assert(timestamp_in_range(micros));
		ck_assert(timestamp_parse(out, 27, &again));
		ck_assert_int_eq(again, micros);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(
			!timestamp_parse(bad[i], strlen(bad[i]), &micros), "%s was taken", bad[i]);
	/* No proper prefix of a time is a time. */
	for (size_t length = 0; length < strlen(good[0].text); length++)
		ck_assert(!timestamp_parse(good[0].text, length, &micros));
}
END_TEST

/* Each message says what is wrong, not only that something is. */
START_TEST(problems_of_times)
{
	static const char *const cases[][2] = {
		{"2016-12-31T23:59:60Z", "second 60: leap seconds are not supported"},
		{"2025-06-19T24:00:00Z", "hour 24: write midnight as 00:00"},
		{"2025-06-19T24:00:01Z", "hour 24: hours are 00 to 23"},
		{"2025-06-19T25:00:00Z", "hour 25"},
		{"2025-06-19T15:60:00Z", "minute 60"},
		{"2025-06-19T15:44:61Z", "second 61"},
		{"2025-02-29T00:00:00Z", "29"},
		{"1900-02-29T00:00:00Z", "29"},
		{"2025-13-01T00:00:00Z", "month 13"},
		{"2025-00-01T00:00:00Z", "month 00"},
		{"2025-04-31T00:00:00Z", "31"},
		{"2025-06-19 15:44:49Z", "write a T"},
		{"2025-06-19T15:44:49", "no offset"},
		{"2025-06-19T15:44:49,5Z", "comma"},
		{"2025-06-19T15:44:49.Z", "no digit"},
		{"2025-06-19T15:44:49.1234567890Z", "more than 9"},
		{"2025-06-19T15:44:49+24:00", "offset"},
		{"9999-12-31T23:59:59-00:01", "outside the years"},
	};
	char problem[TIMESTAMP_PROBLEM_MAX];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ck_assert_msg(timestamp_problem(cases[i][0], strlen(cases[i][0]), problem), "%s",
			cases[i][0]);
		ck_assert_msg(strstr(problem, cases[i][1]) != NULL, "%s: %s", cases[i][0], problem);
	}
	ck_assert(!timestamp_problem("now", 3, problem));
}
END_TEST

START_TEST(stored_times)
{
	static const struct {
		const char *text;
		int64_t micros;
	} good[] = {
		{"2025-06-10 08:00:00", INT64_C(1749542400000000)},
		{"2025-06-10 08:00:00.5", INT64_C(1749542400500000)},
		{"2025-06-10 08:00:00.123456789", INT64_C(1749542400123456)},
		{"2025-06-10 08:00:00+00", INT64_C(1749542400000000)},
		{"2025-06-10 10:00:00+02", INT64_C(1749542400000000)},
		{"2025-06-10 08:00:00+00:00", INT64_C(1749542400000000)},
		{"2025-06-10T08:00:00Z", INT64_C(1749542400000000)},
		{"2025-06-10T08:00:00.000001+00:00", INT64_C(1749542400000001)},
		{"2025-06-10T08:00:00", INT64_C(1749542400000000)},
		{"2025-06-10 08:00:00Z", INT64_C(1749542400000000)},
		{"1970-01-01T00:00:00+00:00", 0},
	};
	static const char *const bad[] = {
		"",
		"2025-06-10",
		"2025-06-10 08:00",
		"2025-06-10 08:00:00 UTC",
		"2025-06-10  08:00:00",
		"2025-06-10 08:00:00+0",
		"2025-06-10_08:00:00",
		"2025-06-10 08:00:00+00:",
		"2025-02-30 08:00:00",
		"CURRENT_TIMESTAMP",
		"9999-12-31 23:59:59-01:00",
		"0000-01-01T00:00:00+00:01",
	};
	char out[TIMESTAMP_TEXT_MAX];
	int64_t micros;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ck_assert_msg(timestamp_parse_stored(good[i].text, strlen(good[i].text), &micros),
			"%s", good[i].text);
		ck_assert_int_eq(micros, good[i].micros);
		ck_assert_uint_eq(timestamp_format_stored(micros, out), 32);
		ck_assert_mem_eq(out + 26, "+00:00", 6);
		micros = 0;
		ck_assert(timestamp_parse_stored(out, 32, &micros));
		ck_assert_int_eq(micros, good[i].micros);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!timestamp_parse_stored(bad[i], strlen(bad[i]), &micros),
			"%s was taken", bad[i]);
}
END_TEST

/* Compared with the library's calendar: random moments of ten thousand years, and every day of
 * some. */
START_TEST(calendar)
{
	const int64_t first = INT64_C(-719528) * day, end = INT64_C(2932897) * day;
	uint64_t state = 3;

	ck_assert(timestamp_in_range(first) && !timestamp_in_range(first - 1));
	ck_assert(timestamp_in_range(end - 1) && !timestamp_in_range(end));
	for (unsigned i = 0, max = unit_rounds(200000); i < max; i++) {
		int64_t micros = i < 100000
			? first + (int64_t)(unit_random(&state) % (uint64_t)(end - first))
			: ((int64_t)(i - 150000) * 8) * day +
				(int64_t)(unit_random(&state) % (uint64_t)day);
		int64_t seconds = micros / second - (micros % second < 0), month_start, parsed;
		char out[TIMESTAMP_TEXT_MAX], want[96];
		struct tm tm;

		if (!timestamp_in_range(micros))
			continue;
		ck_assert_ptr_nonnull(gmtime_r(&(time_t){seconds}, &tm));
		(void)snprintf(want, sizeof want, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			tm.tm_sec, (int)(micros - seconds * second));
		ck_assert_uint_eq(timestamp_format(micros, out), 27);
		ck_assert_msg(memcmp(out, want, 27) == 0, "%.27s is not %s", out, want);
		ck_assert(timestamp_parse(out, 27, &parsed));
		ck_assert_int_eq(parsed, micros);
		ck_assert_int_eq(timestamp_day_start(micros),
			(int64_t)(seconds - tm.tm_hour * 3600 - tm.tm_min * 60 - tm.tm_sec) *
				second);
		month_start = timestamp_day_start(micros) - (tm.tm_mday - 1) * day;
		ck_assert_int_eq(timestamp_month_start(micros), month_start);
	}
	int64_t now = timestamp_now();
	ck_assert_int_le(now / second - time(NULL), 1);
	ck_assert_int_ge(now / second - time(NULL), -1);
}
END_TEST

START_TEST(addresses)
{
	static const char *const good[][2] = {
		{"127.0.0.1", "127.0.0.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"::1", "::1"},
		{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
		{"2001:0db8::0001", "2001:db8::1"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
		{"::FFFF:c000:201", "::ffff:192.0.2.1"},
		{"fe80:0:0:1:0:0:0:1", "fe80:0:0:1::1"},
		{"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
		{"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};
	static const char *const bad[] = {
		"",
		"1.2.3",
		"1.2.3.4.5",
		"256.1.1.1",
		"1.2.3.-4",
		"01.2.3.4",
		"1.2.3.4/24",
		"0x7f.0.0.1",
		"2130706433",
		" 127.0.0.1",
		"127.0.0.1 ",
		":::",
		"1::2::3",
		"fe80::1%eth0",
		"::1/128",
		"[::1]",
		"12345::",
		"g::1",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"localhost",
		"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555",
		"::1.2.3",
		"\xEF\xBC\x91.2.3.4",
	};
	char out[46];
	size_t length;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ck_assert_msg(
			ip_parse(good[i][0], strlen(good[i][0]), out, &length), "%s", good[i][0]);
		ck_assert_uint_eq(length, strlen(good[i][1]));
		ck_assert_mem_eq(out, good[i][1], length);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(
			!ip_parse(bad[i], strlen(bad[i]), out, &length), "%s was taken", bad[i]);
	ck_assert(!ip_parse("127.0.0.1\0x", 11, out, &length));
}
END_TEST

/* The definition, implemented again and slowly: a character is a sequence that encodes its code
 * point in the shortest form. */
static size_t slow_character(const unsigned char *p, size_t left)
{
	for (size_t length = 1; length <= 4 && length <= left; length++) {
		static const unsigned leads[] = {0, 0x00, 0xC0, 0xE0, 0xF0},
				      masks[] = {0, 0x80, 0xE0, 0xF0, 0xF8};
		static const unsigned min[] = {0, 1, 0x80, 0x800, 0x10000};
		unsigned code = p[0] & ~masks[length] & 0xFF;
		bool good = (p[0] & masks[length]) == leads[length];

		for (size_t i = 1; i < length; i++) {
			good = good && (p[i] & 0xC0) == 0x80;
			code = code << 6 | (p[i] & 0x3F);
		}
		if (good)
			return code >= min[length] && code <= 0x10FFFF &&
					(code < 0xD800 || code > 0xDFFF)
				? length
				: 0;
	}
	return 0;
}

START_TEST(utf8_characters)
{
	uint64_t state = 11;

	for (unsigned i = 0, step = (1u << 24) / unit_rounds(1u << 24); i < 1u << 24;
		i += i < 1u << 16 ? step : 7 * step) { /* three bytes, most of them */
		unsigned char text[4] = {(unsigned char)(i >> 16), (unsigned char)(i >> 8),
			(unsigned char)i, (unsigned char)(unit_random(&state) | 0x80)};

		if (i < 1u << 16) { /* all of two bytes first */
			text[0] = text[1];
			text[1] = text[2];
		}
		for (size_t left = 1; left <= 4; left++)
			if (utf8_character((const char *)text, left) != slow_character(text, left))
				ck_abort_msg("%02x %02x %02x %02x of %zu", text[0], text[1],
					text[2], text[3], left);
	}
	for (unsigned i = 0, max = unit_rounds(1u << 20); i < max; i++) { /* four */
		unsigned char text[4] = {(unsigned char)(0xF0 | (i >> 17)),
			(unsigned char)(i >> 10), (unsigned char)(0x80 | (i & 0x3F)),
			(unsigned char)(unit_random(&state) & 0xBF)};

		if (utf8_character((const char *)text, 4) != slow_character(text, 4))
			ck_abort_msg("%02x %02x %02x %02x", text[0], text[1], text[2], text[3]);
	}
}
END_TEST

/* Eight bytes at once: each wrong byte at each position of texts of each length must be found,
 * and no valid text refused. */
START_TEST(utf8_fast_path)
{
	static const char wrong[] = {'\0', '\x80', '\xFF', '\xC3', '\xED'};
	char text[48];

	for (size_t length = 0; length <= 40; length++) {
		memset(text, 'x', sizeof text);
		ck_assert(utf8_valid(text, length));
		memset(text, 1, sizeof text);
		ck_assert(utf8_valid(text, length));
		memset(text, 0x7F, sizeof text);
		ck_assert(utf8_valid(text, length));
		for (size_t at = 0; at < length; at++) {
			for (size_t i = 0; i < sizeof wrong; i++) {
				memset(text, 'x', sizeof text);
				text[at] = wrong[i];
				ck_assert(!utf8_valid(text, length));
				memset(text, 1, sizeof text);
				text[at] = wrong[i];
				ck_assert(!utf8_valid(text, length));
			}
			memset(text, 'x', sizeof text);
			memcpy(text + at, "\xF0\x9F\x9A\xB4", 4);
			ck_assert_int_eq(utf8_valid(text, length), at + 4 <= length);
		}
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, uuids);
	tcase_add_test(tests, new_uuids);
	tcase_add_test(tests, times);
	tcase_add_test(tests, problems_of_times);
	tcase_add_test(tests, stored_times);
	tcase_add_test(tests, calendar);
	tcase_add_test(tests, addresses);
	tcase_add_test(tests, utf8_characters);
	tcase_add_test(tests, utf8_fast_path);
	return unit_run("value", tests, true);
}
