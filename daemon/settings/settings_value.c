/* Converts single settings between text and numbers. */
#include "settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "../../backends/store_redact.h"

/* "64KiB", "1.5h": a number and the factor of its unit; false when invalid. */
static bool parse_scaled(
	const char *text, const char *const *units, const int64_t *factors, double *number)
{
	char *end;

	if ((*text < '0' || *text > '9') && *text != '.')
		return false;
	*number = strtod(text, &end);
	if (end != text + strspn(text, "0123456789.")) /* no exponents, no hexadecimal */
		return false;
	for (; *units != NULL; units++, factors++)
		if (strcasecmp(end, *units) == 0) {
			*number *= (double)*factors;
			return true;
		}
	return false;
}

static bool parse_time(const char *text, double *number)
{
	static const char *const units[] = {"", "s", "ms", "m", "min", "h", "d", NULL};
	static const int64_t factors[] = {1000, 1000, 1, 60000, 60000, HOUR, 24 * HOUR};

	return parse_scaled(text, units, factors, number);
}

static bool parse_bytes(const char *text, double *number)
{
	static const char *const units[] = {
		"", "B", "K", "KiB", "kB", "M", "MiB", "MB", "G", "GiB", "GB", NULL};
	static const int64_t factors[] = {
		1, 1, KIB, KIB, 1000, MIB, MIB, 1000000, 1024 * MIB, 1024 * MIB, 1000000000};

	return parse_scaled(text, units, factors, number);
}

static bool parse_count(const char *text, int base, double *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*number = (double)strtoull(text, &end, base);
	return *end == '\0';
}

static bool parse_bool(const char *text, uint64_t *number)
{
	static const char *const words[] = {"no", "yes", "false", "true", "0", "1", "off", "on"};

	for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
		if (strcasecmp(text, words[i]) == 0) {
			*number = i & 1;
			return true;
		}
	return false;
}

const char *settings_value_choice(const struct setting *row, uint64_t index, size_t *length)
{
	const char *word = row->words;

	for (; index > 0 && *word != '\0'; index--) {
		word += strcspn(word, "|");
		word += *word == '|';
	}
	*length = strcspn(word, "|");
	return word;
}

static bool parse_choice(const struct setting *row, const char *text, uint64_t *number)
{
	size_t length = strlen(text), found;

	for (uint64_t i = 0;; i++) {
		const char *word = settings_value_choice(row, i, &found);

		if (found == 0)
			return false;
		if (found == length && strncasecmp(word, text, length) == 0) {
			*number = i;
			return true;
		}
	}
}

static int out_of_range(const struct setting *row, const char *text, struct err *err)
{
	char min[32], max[32];

	settings_value_show_number(row, (uint64_t)row->min, min, sizeof min);
	settings_value_show_number(row, (uint64_t)row->max, max, sizeof max);
	return err_exit(err, EX_CONFIG, "\"%.60s\" is out of range: %s to %s", text, min, max);
}

int settings_value_parse_value(
	const struct setting *row, const char *text, uint64_t *number, struct err *err)
{
	static const char *const expected[] = {
		[SETTING_BOOL] = "yes or no",
		[SETTING_COUNT] = "a whole number",
		[SETTING_BYTES] = "a size such as 64KiB or 1MiB",
		[SETTING_TIME] = "a time such as 500ms, 30s or 5m",
		[SETTING_MODE] = "an octal mode such as 0660",
	};
	double value = 0;
	bool fine;

	if (row->type == SETTING_CHOICE) {
		if (parse_choice(row, text, number))
			return 0;
		return err_exit(err, EX_CONFIG, "\"%.60s\" is none of %s", text, row->words);
	}
	if (row->type == SETTING_BOOL) {
		if (parse_bool(text, number))
			return 0;
		return err_exit(err, EX_CONFIG, "\"%.60s\" is not %s", text, expected[row->type]);
	}
	if (row->type == SETTING_MODE && *text == '\0') {
		*number = 0;
		return 0;
	}
	fine = row->type == SETTING_TIME ? parse_time(text, &value)
		: row->type == SETTING_BYTES
		? parse_bytes(text, &value)
		: parse_count(text, row->type == SETTING_MODE ? 8 : 10, &value);
	if (!fine)
		return err_exit(err, EX_CONFIG, "\"%.60s\" is not %s", text, expected[row->type]);
	if (!(value >= (double)row->min && value <= (double)row->max))
		return out_of_range(row, text, err);
	*number = (uint64_t)(value + 0.5);
	return 0;
}

static const struct unit {
	int64_t factor;
	const char *name;
} times[] = {{HOUR, "h"}, {60 * SECOND, "m"}, {SECOND, "s"}, {1, "ms"}},
  sizes[] = {{1024 * MIB, "GiB"}, {MIB, "MiB"}, {KIB, "KiB"}, {1, ""}};

static void show_scaled(const struct unit *unit, uint64_t number, char *out, size_t size)
{
	while (unit->factor > 1 && (number == 0 || number % (uint64_t)unit->factor != 0))
		unit++;
	(void)snprintf(out, size, "%llu%s",
		(unsigned long long)number / (unsigned long long)unit->factor, unit->name);
}

static void show_choice(const struct setting *row, uint64_t index, char *out, size_t size)
{
	size_t length;
	const char *word = settings_value_choice(row, index, &length);

	(void)snprintf(out, size, "%.*s", (int)length, word);
}

char *settings_value_show_number(const struct setting *row, uint64_t number, char *out, size_t size)
{
	switch (row->type) {
	case SETTING_BOOL:
		(void)snprintf(out, size, "%s", number != 0 ? "yes" : "no");
		break;
	case SETTING_TIME:
		if (number == 0)
			(void)snprintf(out, size, "0");
		else
			show_scaled(times, number, out, size);
		break;
	case SETTING_BYTES:
		show_scaled(sizes, number, out, size);
		break;
	case SETTING_MODE:
		(void)snprintf(out, size, "%04llo", (unsigned long long)number);
		break;
	case SETTING_CHOICE:
		show_choice(row, number, out, size);
		break;
	case SETTING_COUNT:
	case SETTING_TEXT:
	case SETTING_URL:
	case SETTING_SECRET:
		(void)snprintf(out, size, "%llu", (unsigned long long)number);
	}
	return out;
}

char *settings_value_show(
	const struct settings *settings, enum setting_id id, char *out, size_t size)
{
	const struct setting *row = &setting_table[id];
	const void *member = (const char *)settings + row->offset;

	if (row->type == SETTING_SECRET) {
		(void)snprintf(
			out, size, "%s", settings->source[id] != SOURCE_DEFAULT ? "***" : "");
	} else if (row->type == SETTING_URL) {
		store_redact_url(*(char *const *)member, out, size);
	} else if (row->type == SETTING_TEXT) {
		(void)snprintf(out, size, "%s", *(char *const *)member);
	} else if (row->type == SETTING_MODE && *(const uint64_t *)member == 0) {
		*out = '\0'; /* not set: the default depends on the environment */
	} else {
		(void)settings_value_show_number(row, *(const uint64_t *)member, out, size);
	}
	return out;
}
