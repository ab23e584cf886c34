/* Lines out of a stream. Would catch: a line that depends on how the bytes were split, a limit
 * that is off by one, a line that is too long and takes the next one with it, a lost last line
 * without a newline. */
#include <string.h>

#include "../../protocol/wire/frame.h"
#include "unit.h"

enum { LIMIT = 100, MAX = 4096 };

/* The output: lines joined with a line feed after each, "!" for a line that is too long. */
struct seen {
	char text[1 << 16];
	size_t length;
};

static struct frame frame;

static void tear_down(void)
{
	frame_free(&frame);
}

static void note(struct seen *seen, const char *text, size_t length)
{
	ck_assert_uint_lt(seen->length + length + 1, sizeof seen->text);
	memcpy(seen->text + seen->length, text, length);
	seen->length += length;
	seen->text[seen->length++] = '\n';
}

static void take_lines(struct seen *seen)
{
	enum frame_result result;
	const char *line;
	size_t length;

	while ((result = frame_next(&frame, &line, &length)) != FRAME_MORE)
		if (result == FRAME_TOO_LONG)
			note(seen, "!", 1);
		else
			note(seen, line, length);
}

static void feed(const char *bytes, size_t length)
{
	while (length > 0) {
		size_t size;
		char *space = frame_space(&frame, &size);

		ck_assert_ptr_nonnull(space);
		ck_assert_uint_ge(size, 1);
		if (size > length)
			size = length;
		memcpy(space, bytes, size);
		frame_commit(&frame, size);
		bytes += size;
		length -= size;
	}
}

/* All in one piece, or split at random positions; ends with frame_end. */
static void run(const char *bytes, size_t length, uint64_t *cuts, unsigned max, struct seen *seen)
{
	frame_init(&frame, LIMIT);
	seen->length = 0;
	for (size_t at = 0; at < length;) {
		size_t piece = cuts != NULL ? 1 + (size_t)(unit_random(cuts) % max) : length;

		if (piece > length - at)
			piece = length - at;
		feed(bytes + at, piece);
		take_lines(seen);
		at += piece;
	}
	frame_end(&frame);
	take_lines(seen);
	ck_assert(!frame_partial(&frame));
	frame_free(&frame);
}

static void lines(const char *bytes, const char *want)
{
	static struct seen whole, cut;

	run(bytes, strlen(bytes), NULL, 0, &whole);
	ck_assert_msg(whole.length == strlen(want) && memcmp(whole.text, want, whole.length) == 0,
		"\"%s\" gives \"%.*s\"", bytes, (int)whole.length, whole.text);
	for (unsigned max = 1; max < 4; max++) {
		uint64_t state = max;

		run(bytes, strlen(bytes), &state, max, &cut);
		ck_assert_uint_eq(cut.length, whole.length);
		ck_assert_mem_eq(cut.text, whole.text, whole.length);
	}
}

START_TEST(ends_of_lines)
{
	lines("", "");
	lines("\n", "");
	lines("a\n", "a\n");
	lines("a", "a\n");
	lines("a\nb", "a\nb\n");
	lines("a\r\nb\r\n", "a\nb\n");
	lines("a\r", "a\n");
	lines("a\rb\n", "a\rb\n");
	lines("a\r\r\n", "a\r\n");
	lines("\n\n\r\n \t\r\n\na\n\n", "a\n");
	lines("  a \n", "  a \n");
	lines("   ", "");
	lines(" \r", "");
	lines("{\"a\":\n1}\n", "{\"a\":\n1}\n");
}
END_TEST

START_TEST(limit)
{
	char text[512], want[512];

	for (unsigned length = LIMIT - 2; length < LIMIT + 5; length++)
		for (int end = 0; end < 4; end++) {
			static const char *const ends[] = {"\n", "\r\n", "", "\r"},
						 *const nexts[] = {"next\n", "next\n", "", ""};

			memset(text, 'x', length);
			(void)snprintf(
				text + length, sizeof text - length, "%s%s", ends[end], nexts[end]);
			if (length <= LIMIT) {
				memset(want, 'x', length);
				(void)snprintf(
					want + length, sizeof want - length, "\n%s", nexts[end]);
			} else {
				(void)snprintf(want, sizeof want, "!\n%s", nexts[end]);
			}
			lines(text, want);
		}
}
END_TEST

/* Megabytes without a newline are reported once, hold no memory, and the next line is complete. */
START_TEST(endless_line)
{
	static char block[65536];
	static struct seen seen;

	seen.length = 0;
	memset(block, 'x', sizeof block);
	frame_init(&frame, LIMIT);
	for (int i = 0; i < 200; i++) {
		feed(block, sizeof block);
		take_lines(&seen);
		ck_assert_uint_eq(seen.length, 2);
		ck_assert(frame_partial(&frame));
		ck_assert_uint_le(frame.capacity, 4 * sizeof block);
	}
	feed("\nb\n", 3);
	take_lines(&seen);
	ck_assert_uint_eq(seen.length, 4);
	ck_assert_mem_eq(seen.text, "!\nb\n", 4);
	ck_assert(!frame_partial(&frame));
	/* Ended within a line that is too long. */
	feed(block, 1000);
	take_lines(&seen);
	frame_end(&frame);
	take_lines(&seen);
	ck_assert_uint_eq(seen.length, 6);
	ck_assert(!frame_partial(&frame));
}
END_TEST

START_TEST(partial)
{
	static struct seen seen;

	seen.length = 0;
	frame_init(&frame, LIMIT);
	ck_assert(!frame_partial(&frame));
	feed("a", 1);
	take_lines(&seen);
	ck_assert(frame_partial(&frame));
	feed("\n", 1);
	take_lines(&seen);
	ck_assert(!frame_partial(&frame));
	feed("b\nc", 3);
	take_lines(&seen);
	ck_assert(frame_partial(&frame));
	ck_assert_mem_eq(seen.text, "a\nb\n", 4);
}
END_TEST

/* A random stream of good, empty and too long lines, whose expected output is known without the
 * frame. */
static size_t make_stream(uint64_t *state, char *bytes, struct seen *want)
{
	size_t length = 0;

	want->length = 0;
	while (length < MAX) {
		unsigned kind = (unsigned)(unit_random(state) % 8),
			 size = (unsigned)(unit_random(state) % LIMIT);
		bool carriage = unit_random(state) % 4 == 0, last = length > MAX - 200;

		if (kind == 0)
			size = 0;
		else if (kind == 1)
			size = LIMIT + 1 + (unsigned)(unit_random(state) % 90);
		else if (kind == 2)
			size = LIMIT;
		for (unsigned i = 0; i < size; i++)
			bytes[length + i] = (char)('!' + unit_random(state) % 90);
		if (size > LIMIT)
			note(want, "!", 1);
		else if (size > 0)
			note(want, bytes + length, size);
		length += size;
		if (carriage)
			bytes[length++] = '\r';
		if (last && unit_random(state) % 2 == 0)
			break;
		bytes[length++] = '\n';
	}
	return length;
}

/* Whether the frame's memory has only the bytes that are not taken. */
static bool only_rest(const char *rest)
{
	size_t length = strlen(rest);

	if (memcmp(frame.data, rest, length) != 0)
		return false;
	for (size_t i = length; i < frame.capacity; i++)
		if (frame.data[i] == 's')
			return false;
	return true;
}

START_TEST(wiped)
{
	static struct seen seen;

	frame_init(&frame, LIMIT);
	seen.length = 0;
	frame_wipe_taken(&frame); /* nothing was read yet */
	feed("sss\nssss\n", 9);
	memset(frame.data + 9, 0, frame.capacity - 9);
	take_lines(&seen);
	frame_wipe_taken(&frame);
	ck_assert(only_rest(""));
	feed("ssssss\nre", 9);
	take_lines(&seen);
	frame_wipe_taken(&frame);
	ck_assert(only_rest("re"));
	feed("st\n", 3);
	take_lines(&seen);
	ck_assert_mem_eq(seen.text, "sss\nssss\nssssss\nrest\n", seen.length);
	ck_assert_uint_eq(seen.length, 21);
	frame_free(&frame);
}
END_TEST

START_TEST(random_cuts)
{
	static char bytes[2 * MAX];
	static struct seen want, got;
	uint64_t state = (uint64_t)_i;

	for (unsigned stream = 0, max = unit_rounds(100); stream < max; stream++) {
		size_t length = make_stream(&state, bytes, &want);

		for (int cut = 0; cut < 26; cut++) { /* each size of a piece twice */
			run(bytes, length, &state, 1u << cut % 13, &got);
			ck_assert_uint_eq(got.length, want.length);
			ck_assert_mem_eq(got.text, want.text, want.length);
		}
	}
}
END_TEST

/* Lines of realistic size, through the frame's own growth. */
START_TEST(large_lines)
{
	const size_t size = 1 << 20;
	char *bytes = malloc(size + 1);
	const char *line;
	size_t length;

	ck_assert_ptr_nonnull(bytes);
	frame_init(&frame, size);
	memset(bytes, 'y', size);
	bytes[size] = '\n';
	for (int i = 0; i < 3; i++) {
		feed(bytes, size + 1);
		ck_assert_int_eq(frame_next(&frame, &line, &length), FRAME_LINE);
		ck_assert_uint_eq(length, size);
		ck_assert_mem_eq(line, bytes, size);
		ck_assert_int_eq(frame_next(&frame, &line, &length), FRAME_MORE);
	}
	free(bytes);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, NULL, tear_down);
	tcase_add_test(tests, ends_of_lines);
	tcase_add_test(tests, limit);
	tcase_add_test(tests, endless_line);
	tcase_add_test(tests, partial);
	tcase_add_test(tests, wiped);
	tcase_add_test(tests, random_cuts);
	tcase_add_test(tests, large_lines);
	return unit_run("frame", tests, true);
}
