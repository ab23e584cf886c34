/* Public helpers for times, and other short functions without a handle. */
#include <string.h>

#include "pierre-db.h"
#include "value.h"

int64_t pierre_time_now(void)
{
	return timestamp_now();
}

bool pierre_time_format(int64_t time, char text[PIERRE_TIME_SIZE])
{
	char formatted[TIMESTAMP_TEXT_MAX];
	size_t length;

	text[0] = '\0';
	if (!timestamp_in_range(time))
		return false;
	length = timestamp_format(time, formatted);
	if (length >= PIERRE_TIME_SIZE)
		return false;
	memcpy(text, formatted, length);
	text[length] = '\0';
	return true;
}

bool pierre_time_parse(const char *text, int64_t *time)
{
	int64_t parsed;

	if (text == NULL || !timestamp_parse(text, strlen(text), &parsed))
		return false;
	*time = parsed;
	return true;
}

const char *pierre_version(void)
{
	return PIERRE_VERSION;
}
