#include "value.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static const int64_t second = 1000000, day = INT64_C(86400) * 1000000;

static const signed char hex_digits[256] = {
	['0'] = 1,
	['1'] = 2,
	['2'] = 3,
	['3'] = 4,
	['4'] = 5,
	['5'] = 6,
	['6'] = 7,
	['7'] = 8,
	['8'] = 9,
	['9'] = 10,
	['a'] = 11,
	['b'] = 12,
	['c'] = 13,
	['d'] = 14,
	['e'] = 15,
	['f'] = 16,
	['A'] = 11,
	['B'] = 12,
	['C'] = 13,
	['D'] = 14,
	['E'] = 15,
	['F'] = 16,
};

bool value_integer_in_range(enum type type, int64_t value)
{
	int64_t max = type == TYPE_BOOL ? 1
		: type == TYPE_U16      ? UINT16_MAX
		: type == TYPE_U32      ? UINT32_MAX
					: INT64_MAX;

	return type == TYPE_I64 || (value >= 0 && value <= max);
}

static bool is_hyphen(size_t place)
{
	return place == 8 || place == 13 || place == 18 || place == 23;
}

bool uuid_parse(const char *text, size_t length, char out[UUID_TEXT])
{
	if (length != UUID_TEXT && length != 32)
		return false;
	for (size_t i = 0; i < UUID_TEXT; i++) {
		if (is_hyphen(i)) {
			if (length == UUID_TEXT && *text++ != '-')
				return false;
			out[i] = '-';
			continue;
		}
		int digit = hex_digits[(unsigned char)*text++] - 1;
		if (digit < 0)
			return false;
		out[i] = "0123456789abcdef"[digit];
	}
	return true;
}

void uuid_from_bytes(const unsigned char bytes[16], char out[UUID_TEXT])
{
	for (size_t i = 0; i < UUID_TEXT; i++) {
		if (is_hyphen(i)) {
			out[i] = '-';
			continue;
		}
		out[i++] = "0123456789abcdef"[*bytes >> 4];
		out[i] = "0123456789abcdef"[*bytes++ & 15];
	}
}

void uuid_new(char out[UUID_TEXT])
{
	static _Thread_local unsigned char pool[512];
	static _Thread_local size_t left;

	if (left < 16) {
		while (getrandom(pool, sizeof pool, 0) != (ssize_t)sizeof pool)
			; /* interrupted before the kernel's pool was ready: try again */
		left = sizeof pool;
	}
	unsigned char *bytes = pool + (left -= 16);
	bytes[6] = (unsigned char)((bytes[6] & 0x0F) | 0x40);
	bytes[8] = (unsigned char)((bytes[8] & 0x3F) | 0x80);
	uuid_from_bytes(bytes, out);
}

/* Days since 1970-01-01 of a proleptic Gregorian date, and back. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned mday)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t of_era = year - era * 400;
	int64_t of_year =
		(153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)mday - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void civil_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *mday)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t of_era = days - era * 146097;
	int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t shifted = (5 * of_year + 2) / 153;

	*mday = (unsigned)(of_year - (153 * shifted + 2) / 5 + 1);
	*month = (unsigned)(shifted < 10 ? shifted + 3 : shifted - 9);
	*year = year_of_era + era * 400 + (*month <= 2);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static bool digits(const char **p, const char *end, int count, int *value)
{
	*value = 0;
	if (end - *p < count)
		return false;
	for (; count > 0; count--, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		*value = *value * 10 + (**p - '0');
	}
	return true;
}

static bool byte_is(const char **p, const char *end, char a, char b)
{
	if (*p == end || (**p != a && **p != b))
		return false;
	(*p)++;
	return true;
}

static unsigned days_in_month(int year, int month)
{
	static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : lengths[month - 1];
}

/* Date, time and fraction; *p is left at the offset. */
static bool parse_local(
	const char **p, const char *end, char separator_a, char separator_b, int64_t *micros)
{
	int year, month, mday, hour, minute, sec;

	if (!digits(p, end, 4, &year) || !byte_is(p, end, '-', '-') || !digits(p, end, 2, &month) ||
		!byte_is(p, end, '-', '-') || !digits(p, end, 2, &mday) ||
		!byte_is(p, end, separator_a, separator_b) || !digits(p, end, 2, &hour) ||
		!byte_is(p, end, ':', ':') || !digits(p, end, 2, &minute) ||
		!byte_is(p, end, ':', ':') || !digits(p, end, 2, &sec))
		return false;
	if (month < 1 || month > 12 || mday < 1 || (unsigned)mday > days_in_month(year, month) ||
		hour > 23 || minute > 59 || sec > 59)
		return false;
	*micros = days_from_civil(year, (unsigned)month, (unsigned)mday) * day +
		((int64_t)hour * 3600 + (int64_t)minute * 60 + sec) * second;
	if (*p == end || **p != '.')
		return true;
	(*p)++;
	int count = 0;
	for (int64_t unit = second / 10; *p < end && **p >= '0' && **p <= '9';
		(*p)++, unit /= 10, count++)
		*micros += (**p - '0') * unit; /* unit is 0 from the seventh digit on */
	return count >= 1 && count <= 9;
}

/* `+hh:mm` or Z; short_form also accepts no offset and `+hh`. */
static bool parse_offset(const char *p, const char *end, bool short_form, int64_t *micros)
{
	int hour, minute = 0;

	if (p == end)
		return short_form;
	if (*p == 'Z' || *p == 'z')
		return p + 1 == end;
	bool negative = *p == '-';
	if ((*p != '+' && !negative) || (p++, !digits(&p, end, 2, &hour)))
		return false;
	if (p != end || !short_form)
		if (!byte_is(&p, end, ':', ':') || !digits(&p, end, 2, &minute) || p != end)
			return false;
	if (hour > 23 || minute > 59)
		return false;
	int64_t offset = ((int64_t)hour * 3600 + (int64_t)minute * 60) * second;
	*micros += negative ? offset : -offset;
	return true;
}

bool timestamp_in_range(int64_t micros)
{
	return micros >= INT64_C(-719528) * day && micros < INT64_C(2932897) * day;
}

bool timestamp_parse(const char *text, size_t length, int64_t *micros)
{
	const char *p = text, *end = text + length;

	return parse_local(&p, end, 'T', 't', micros) && parse_offset(p, end, false, micros) &&
		timestamp_in_range(*micros);
}

bool timestamp_parse_stored(const char *text, size_t length, int64_t *micros)
{
	const char *p = text, *end = text + length;

	return parse_local(&p, end, length > 10 && text[10] == ' ' ? ' ' : 'T', 't', micros) &&
		parse_offset(p, end, true, micros) && timestamp_in_range(*micros);
}

/* Parses the parts of the local time by form only: YYYY-MM-DDThh:mm:ss. A space is accepted as
 * T. */
static bool read_parts(const char **p, const char *end, int part[6])
{
	static const char behind[] = "--T::";

	for (int i = 0; i < 6; i++) {
		if (!digits(p, end, i == 0 ? 4 : 2, &part[i]))
			return false;
		if (i == 2 ? !byte_is(p, end, 'T', 't') && !byte_is(p, end, ' ', ' ')
			   : i < 5 && !byte_is(p, end, behind[i], behind[i]))
			return false;
	}
	return true;
}

static bool date_problem(const int part[6], char out[TIMESTAMP_PROBLEM_MAX])
{
	static const char *const names[] = {"January", "February", "March", "April", "May", "June",
		"July", "August", "September", "October", "November", "December"};
	int year = part[0], month = part[1], mday = part[2];

	if (month < 1 || month > 12)
		(void)snprintf(out, TIMESTAMP_PROBLEM_MAX,
			"has the month %02d: months are 01 to 12", month);
	else if (mday < 1 || (unsigned)mday > days_in_month(year, month))
		(void)snprintf(out, TIMESTAMP_PROBLEM_MAX,
			"has the day %02d: %s %04d has the days 01 to %u", mday, names[month - 1],
			year, days_in_month(year, month));
	else
		return false;
	return true;
}

static bool clock_problem(const int part[6], char out[TIMESTAMP_PROBLEM_MAX])
{
	int hour = part[3], minute = part[4], sec = part[5];

	if (hour == 24 && minute == 0 && sec == 0)
		(void)snprintf(out, TIMESTAMP_PROBLEM_MAX,
			"has the hour 24: write midnight as 00:00 of the next day");
	else if (hour > 23)
		(void)snprintf(
			out, TIMESTAMP_PROBLEM_MAX, "has the hour %02d: hours are 00 to 23", hour);
	else if (minute > 59)
		(void)snprintf(out, TIMESTAMP_PROBLEM_MAX,
			"has the minute %02d: minutes are 00 to 59", minute);
	else if (sec == 60)
		(void)snprintf(out, TIMESTAMP_PROBLEM_MAX,
			"has the second 60: leap seconds are not supported, write 59");
	else if (sec > 59)
		(void)snprintf(out, TIMESTAMP_PROBLEM_MAX,
			"has the second %02d: seconds are 00 to 59", sec);
	else
		return false;
	return true;
}

/* An optional fraction of one to nine digits, then the offset. */
static bool tail_problem(const char *p, const char *end, char out[TIMESTAMP_PROBLEM_MAX])
{
	const char *problem = "is outside the years 0000 to 9999 in UTC";
	int64_t ignored = 0;
	size_t count = 0;

	if (p < end && *p == '.') {
		while (p + 1 + count < end && p[1 + count] >= '0' && p[1 + count] <= '9')
			count++;
		p += 1 + count;
		if (count == 0 || count > 9)
			problem = count == 0 ? "has no digit after its decimal point"
					     : "has more than 9 fraction digits";
	}
	if (count > 9 || p[-1] == '.')
		;
	else if (p == end)
		problem = "has no offset: add Z for UTC, or an offset such as +02:00";
	else if (*p == ',')
		problem = "has a comma before its fraction: write a decimal point";
	else if (!parse_offset(p, end, false, &ignored))
		problem = "has an invalid offset: write Z, or ±hh:mm up to ±23:59";
	(void)snprintf(out, TIMESTAMP_PROBLEM_MAX, "%s", problem);
	return true;
}

bool timestamp_problem(const char *text, size_t length, char out[TIMESTAMP_PROBLEM_MAX])
{
	const char *p = text, *end = text + length;
	int part[6];

	if (!read_parts(&p, end, part))
		return false;
	if (date_problem(part, out) || clock_problem(part, out))
		return true;
	if (text[10] == ' ') {
		(void)snprintf(
			out, TIMESTAMP_PROBLEM_MAX, "has a space between date and time: write a T");
		return true;
	}
	return tail_problem(p, end, out);
}

static char *put_digits(char *out, int64_t value, int count)
{
	for (int i = count - 1; i >= 0; i--, value /= 10)
		out[i] = (char)('0' + value % 10);
	return out + count;
}

static char *format(int64_t micros, char *out)
{
	int64_t days = floor_div(micros, day), rest = micros - days * day, year;
	unsigned month, mday;

	civil_from_days(days, &year, &month, &mday);
	out = put_digits(out, year, 4);
	*out++ = '-';
	out = put_digits(out, month, 2);
	*out++ = '-';
	out = put_digits(out, mday, 2);
	*out++ = 'T';
	out = put_digits(out, rest / (3600 * second), 2);
	*out++ = ':';
	out = put_digits(out, rest / (60 * second) % 60, 2);
	*out++ = ':';
	out = put_digits(out, rest / second % 60, 2);
	*out++ = '.';
	return put_digits(out, rest % second, 6);
}

size_t timestamp_format(int64_t micros, char out[TIMESTAMP_TEXT_MAX])
{
	char *end = format(micros, out);

	*end++ = 'Z';
	return (size_t)(end - out);
}

size_t timestamp_format_stored(int64_t micros, char out[TIMESTAMP_TEXT_MAX])
{
	char *end = format(micros, out);

	memcpy(end, "+00:00", 6);
	return (size_t)(end + 6 - out);
}

int64_t timestamp_month_start(int64_t micros)
{
	int64_t year;
	unsigned month, mday;

	civil_from_days(floor_div(micros, day), &year, &month, &mday);
	return days_from_civil(year, month, 1) * day;
}

int64_t timestamp_day_start(int64_t micros)
{
	return floor_div(micros, day) * day;
}

bool ip_parse(const char *text, size_t length, char out[46], size_t *out_length)
{
	char copy[46];
	unsigned char address[16];
	int family;

	if (length >= sizeof copy || memchr(text, '\0', length) != NULL)
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	family = memchr(text, ':', length) != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(family, copy, address) != 1 || inet_ntop(family, address, out, 46) == NULL)
		return false;
	*out_length = strlen(out);
	return true;
}

int64_t timestamp_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * second + now.tv_nsec / 1000;
}

/* Length of the character at p, 0 for invalid UTF-8 or U+0000. */
static size_t character(const unsigned char *p, size_t left)
{
	if (p[0] < 0x80)
		return p[0] != 0;
	if (p[0] >= 0xC2 && p[0] <= 0xDF)
		return left >= 2 && (p[1] & 0xC0) == 0x80 ? 2 : 0;
	if ((p[0] & 0xF0) == 0xE0)
		return left >= 3 && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80 &&
				!(p[0] == 0xE0 && p[1] < 0xA0) && !(p[0] == 0xED && p[1] > 0x9F)
			? 3
			: 0;
	if (p[0] >= 0xF0 && p[0] <= 0xF4)
		return left >= 4 && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80 &&
				(p[3] & 0xC0) == 0x80 && !(p[0] == 0xF0 && p[1] < 0x90) &&
				!(p[0] == 0xF4 && p[1] > 0x8F)
			? 4
			: 0;
	return 0;
}

size_t utf8_character(const char *text, size_t left)
{
	return character((const unsigned char *)text, left);
}

bool utf8_valid(const char *text, size_t length)
{
	for (size_t i = 0, step; i < length; i += step) {
		uint64_t word;

		/* Eight plain characters at once: no byte is 0 or has its top bit set. */
		for (; length - i >= 8; i += 8) {
			memcpy(&word, text + i, 8);
			if (((word | (word - UINT64_C(0x0101010101010101))) &
				    UINT64_C(0x8080808080808080)) != 0)
				break;
		}
		if (i == length)
			break;
		if ((step = utf8_character(text + i, length - i)) == 0)
			return false;
	}
	return true;
}

uint64_t clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

int64_t clock_ms(void)
{
	return (int64_t)(clock_ns() / 1000000);
}

double clock_seconds(void)
{
	return (double)clock_ns() / 1e9;
}
