#include "position.h"

#include <string.h>

enum { MAX_DIGITS = 16 };

struct reader {
	const char *at, *end;
};

static bool position_takes(struct reader *reader, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0)
		return false;
	reader->at += length;
	return true;
}

static bool take_number(struct reader *reader, int min_digits, uint64_t *number)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit;
	int count = 0;

	*number = 0;
	while (count < MAX_DIGITS && reader->at < reader->end &&
		(digit = memchr(digits, *reader->at, sizeof digits - 1)) != NULL) {
		*number = *number << 4 | (uint64_t)(digit - digits);
		reader->at++;
		count++;
	}
	return count >= min_digits;
}

bool position_parse(struct position *ret, const char *text, size_t length)
{
	struct reader reader = {text, text + length};

	*ret = (struct position){.kind = POSITION_SQLITE};
	if (position_takes(&reader, "sqlite-"))
		return take_number(&reader, MAX_DIGITS, &ret->database[0]) &&
			take_number(&reader, MAX_DIGITS, &ret->database[1]) &&
			reader.at == reader.end;
	if (position_takes(&reader, "primary-"))
		ret->kind = POSITION_PRIMARY;
	else if (position_takes(&reader, "standby-"))
		ret->kind = POSITION_STANDBY;
	else
		return false;
	return take_number(&reader, 1, &ret->database[0]) && position_takes(&reader, "-") &&
		take_number(&reader, 1, &ret->database[1]) && position_takes(&reader, "-") &&
		take_number(&reader, 1, &ret->timeline) && position_takes(&reader, "-") &&
		take_number(&reader, 1, &ret->log) && reader.at == reader.end;
}

/* After a promotion the log goes on from where the new primary had got to, so a number of the old
 * timeline says nothing. A standby may already be on a newer timeline than it reports. */
static bool position_forked(const struct position *wanted, const struct position *now)
{
	return now->kind == POSITION_STANDBY ? now->timeline > wanted->timeline
					     : now->timeline != wanted->timeline;
}

enum position_order position_compare(const struct position *wanted, const struct position *now)
{
	if ((wanted->kind == POSITION_SQLITE) != (now->kind == POSITION_SQLITE) ||
		wanted->database[0] != now->database[0] || wanted->database[1] != now->database[1])
		return POSITION_FOREIGN;
	if (position_forked(wanted, now))
		return POSITION_FORKED;
	return now->log >= wanted->log ? POSITION_REACHED : POSITION_BEHIND;
}
