/* Unsent answers. Would catch: a line interrupted by another one after a partial write, a byte
 * lost or sent twice, a buffer that grows without limit for a reader that always lags, memory
 * that idle connections hold. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../daemon/clients/output.h"
#include "unit.h"

enum { LINES = 1500 };

static int ends[2];
static struct output output;
static struct output_spares spares;
static unsigned seen[LINES];
static struct buffer received;

static void set_up(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	output_init(&output);
	spares.count = 0;
	memset(seen, 0, sizeof seen);
	received = (struct buffer){.cap = 0};
}

static void tear_down(void)
{
	output_free(&output);
	output_spares_free(&spares);
	buffer_free(&received);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* `<number>:<letters>\n`, of the requested length. */
static void make_line(struct buffer *line, unsigned number, size_t length)
{
	char head[16];

	(void)snprintf(head, sizeof head, "%u:", number);
	buffer_text(line, head);
	while (line->length < length)
		buffer_byte(line, (char)('a' + number % 26));
	buffer_byte(line, '\n');
}

/* Checks the whole lines that have arrived and keeps the rest. */
static void check_lines(void)
{
	size_t start = 0;
	char *end;

	while ((end = memchr(received.data + start, '\n', received.length - start)) != NULL) {
		char *at = received.data + start, *colon;
		unsigned number = (unsigned)strtoul(at, &colon, 10);

		ck_assert_uint_lt(number, LINES);
		ck_assert_int_eq(*colon, ':');
		for (at = colon + 1; at < end && *at == (char)('a' + number % 26);)
			at++;
		ck_assert_ptr_eq(at, end);
		seen[number]++;
		start = (size_t)(end - received.data) + 1;
	}
	received.length -= start;
	memmove(received.data, received.data + start, received.length);
}

static void read_some(size_t max)
{
	char bytes[65536];
	ssize_t n = recv(ends[1], bytes, max < sizeof bytes ? max : sizeof bytes, 0);

	if (n > 0)
		buffer_append(&received, bytes, (size_t)n);
	if (received.length > 0)
		check_lines();
}

START_TEST(lines_stay_whole)
{
	unsigned next = 0, random = (unsigned)_i * 7919 + 1;
	size_t sent;

	while (next < LINES || output_pending(&output) > 0) {
		random = random * 1103515245U + 12345U;
		unsigned choice = (random >> 16) % 8;

		if (choice < 3 && next < LINES) {
			struct buffer line = {.cap = 0};

			make_line(&line, next++,
				choice == 0 ? (random >> 8) % 200000 : (random >> 8) % 300);
			output_add(&output, &spares, &line);
			buffer_free(&line);
		} else if (choice == 3 && next < LINES) {
			struct buffer *text = output_text(&output, &spares);

			make_line(text, next++, text->length + 50);
		} else if (choice < 6) {
			read_some((random >> 4) % 70000);
		} else {
			ck_assert_int_ne(
				output_write(&output, &spares, ends[0], &sent), OUTPUT_FAILED);
		}
	}
	while (received.length > 0 || seen[LINES - 1] == 0)
		read_some(65536);
	for (int i = 0; i < 100; i++)
		read_some(65536);
	for (unsigned i = 0; i < LINES; i++)
		ck_assert_uint_eq(seen[i], 1);
}
END_TEST

START_TEST(nothing_is_kept_when_all_is_sent)
{
	struct buffer small = {.cap = 0}, large = {.cap = 0};
	size_t sent;

	make_line(&small, 1, 100);
	make_line(&large, 2, OUTPUT_LARGE);
	output_add(&output, &spares, &small);
	output_add(&output, &spares, &large);
	ck_assert_ptr_null(large.data); /* moved, not copied */
	ck_assert_uint_eq(output_pending(&output), small.length + OUTPUT_LARGE + 1);
	ck_assert_int_eq(output_write(&output, &spares, ends[0], &sent), OUTPUT_DONE);
	ck_assert_uint_eq(sent, small.length + OUTPUT_LARGE + 1);
	ck_assert_uint_eq(output_pending(&output), 0);
	ck_assert_ptr_null(output.text.data);
	ck_assert_uint_eq(spares.count, 1);
	ck_assert(list_empty(&output.large));
	ck_assert_ptr_eq(output_text(&output, &spares)->data, output.text.data);
	ck_assert_uint_eq(spares.count, 0);
	buffer_free(&small);
}
END_TEST

/* The reader is always a little behind for a long time: the buffer stays small. */
START_TEST(a_lagging_reader_makes_nothing_grow)
{
	unsigned lines = unit_rounds(20000);
	size_t sent, max = 0;

	for (unsigned i = 0; i < lines; i++) {
		struct buffer *text = output_text(&output, &spares);

		make_line(text, i % LINES, text->length + 1000);
		(void)output_write(&output, &spares, ends[0], &sent);
		if (output_pending(&output) > 100 * 1000)
			while (output_pending(&output) > 50 * 1000) {
				read_some(65536);
				(void)output_write(&output, &spares, ends[0], &sent);
			}
		if (output.text.capacity > max)
			max = output.text.capacity;
	}
	ck_assert_uint_le(max, 1024 * 1024);
}
END_TEST

START_TEST(a_gone_peer_is_an_error_not_a_signal)
{
	size_t sent;

	make_line(output_text(&output, &spares), 1, 10);
	(void)close(ends[1]);
	ck_assert_int_eq(output_write(&output, &spares, ends[0], &sent), OUTPUT_FAILED);
	ck_assert_uint_eq(sent, 0);
}
END_TEST

START_TEST(lost_memory_is_seen)
{
	size_t sent;

	output_text(&output, &spares)->failure = BUFFER_NO_MEMORY;
	ck_assert_int_eq(output_write(&output, &spares, ends[0], &sent), OUTPUT_FAILED);
	output.text.failure = BUFFER_OK;
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, lines_stay_whole, 0, (int)unit_rounds(8));
	tcase_add_test(tests, nothing_is_kept_when_all_is_sent);
	tcase_add_test(tests, a_lagging_reader_makes_nothing_grow);
	tcase_add_test(tests, a_gone_peer_is_an_error_not_a_signal);
	tcase_add_test(tests, lost_memory_is_seen);
	return unit_run("output", tests, true);
}
