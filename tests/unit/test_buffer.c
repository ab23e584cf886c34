/* Buffers and arenas. Would catch: a byte over the cap, an append after a failure that looks
 * complete, secrets left in memory that is reused, sizes that wrap around. */
#include <string.h>

#include "../../protocol/arena.h"
#include "../../protocol/buffer.h"
#include "unit.h"

START_TEST(grows_and_keeps)
{
	struct buffer buffer = {0};
	uint64_t state = 1;

	for (size_t i = 0; i < 100000; i++)
		buffer_byte(&buffer, (char)(unsigned char)unit_random(&state));
	ck_assert_uint_eq(buffer.length, 100000);
	ck_assert_int_eq(buffer.failure, BUFFER_OK);
	state = 1;
	for (size_t i = 0; i < 100000; i++)
		if (buffer.data[i] != (char)(unsigned char)unit_random(&state))
			ck_abort_msg("byte %zu", i);
	buffer_free(&buffer);
	ck_assert_ptr_null(buffer.data);
	ck_assert_uint_eq(buffer.capacity, 0);
}
END_TEST

START_TEST(cap_is_kept)
{
	for (size_t cap = 1; cap < 600; cap++) {
		struct buffer buffer = {.cap = cap};

		for (size_t i = 0; i < cap; i++)
			buffer_byte(&buffer, 'x');
		ck_assert_int_eq(buffer.failure, BUFFER_OK);
		buffer_byte(&buffer, 'y');
		ck_assert_int_eq(buffer.failure, BUFFER_OVER_CAP);
		ck_assert_uint_eq(buffer.length, cap);
		buffer_cut(&buffer, cap - 1);
		buffer_text(&buffer, "ab"); /* whole or not at all */
		ck_assert_int_eq(buffer.failure, BUFFER_OVER_CAP);
		ck_assert_uint_eq(buffer.length, cap - 1);
		buffer_byte(&buffer, 'c'); /* would fit, but something is missing before it */
		ck_assert_uint_eq(buffer.length, cap - 1);
		buffer_cut(&buffer, cap - 1);
		buffer_byte(&buffer, 'c');
		ck_assert_int_eq(buffer.failure, BUFFER_OK);
		buffer_free(&buffer);
		ck_assert_uint_eq(buffer.cap, cap);
	}
}
END_TEST

START_TEST(sizes_that_cannot_be)
{
	struct buffer buffer = {0};

	buffer_byte(&buffer, 'x');
	ck_assert(!buffer_grow(&buffer, SIZE_MAX));
	ck_assert_int_ne(buffer.failure, BUFFER_OK);
	buffer_cut(&buffer, 1);
	ck_assert(!buffer_grow(&buffer, SIZE_MAX / 2));
	ck_assert(!buffer_reserve(&buffer, 1)); /* the failure stays */
	ck_assert_uint_eq(buffer.length, 1);
	buffer_free(&buffer);
}
END_TEST

START_TEST(joins)
{
	struct buffer whole = {0}, piece = {.cap = 3};

	buffer_text(&whole, "a");
	buffer_join(&whole, &piece); /* empty, without memory */
	buffer_text(&piece, "bcd");
	buffer_join(&whole, &piece);
	ck_assert_uint_eq(whole.length, 4);
	ck_assert_int_eq(memcmp(whole.data, "abcd", 4), 0);
	buffer_byte(&piece, 'e');
	buffer_join(&whole, &piece);
	ck_assert_int_eq(whole.failure, BUFFER_OVER_CAP);
	buffer_free(&whole);
	buffer_free(&piece);
}
END_TEST

START_TEST(wipes)
{
	static const char zero[512];
	struct buffer buffer = {0};

	ck_assert(buffer_reserve(&buffer, 300));
	memset(buffer.data, 's', 300);
	buffer.length = 300;
	buffer_wipe(&buffer);
	ck_assert_uint_eq(buffer.length, 0);
	ck_assert_uint_ge(buffer.capacity, 300);
	ck_assert_int_eq(memcmp(buffer.data, zero, 300), 0);
	buffer_free(&buffer);
}
END_TEST

START_TEST(arena_blocks_do_not_overlap)
{
	struct arena arena;
	unsigned char *blocks[500];
	size_t sizes[500];
	uint64_t state = 3;

	arena_init(&arena);
	for (int round = 0; round < 5; round++) {
		for (size_t i = 0; i < 500; i++) {
			sizes[i] = unit_random(&state) % (i % 50 == 0 ? 20000 : 200);
			blocks[i] = arena_alloc(&arena, sizes[i]);
			ck_assert_ptr_nonnull(blocks[i]);
			ck_assert_uint_eq((uintptr_t)blocks[i] % 8, 0);
			memset(blocks[i], (int)(i & 0xFF), sizes[i]);
		}
		for (size_t i = 0; i < 500; i++)
			for (size_t k = 0; k < sizes[i]; k++)
				if (blocks[i][k] != (i & 0xFF))
					ck_abort_msg("byte %zu of block %zu", k, i);
		arena_reset(&arena);
	}
	arena_free(&arena);
	ck_assert_uint_eq(arena.total, 0);
	arena_free(&arena); /* a second call does no harm */
}
END_TEST

START_TEST(arena_copies)
{
	struct arena arena;
	const char *copy;
	const int *numbers;

	arena_init(&arena);
	copy = arena_copy(&arena, "a\0b", 3);
	ck_assert_int_eq(memcmp(copy, "a\0b\0", 4), 0);
	ck_assert_str_eq(arena_copy(&arena, "", 0), "");
	numbers = arena_calloc(&arena, 100, sizeof *numbers);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(numbers[i], 0);
	ck_assert_ptr_null(arena_calloc(&arena, SIZE_MAX / 2, 3));
	ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX));
	ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX - 8));
	ck_assert_ptr_null(arena_copy(&arena, "", SIZE_MAX));
	ck_assert_ptr_nonnull(arena_alloc(&arena, 1)); /* still usable */
	arena_free(&arena);
}
END_TEST

START_TEST(arena_wipes_and_reuses)
{
	struct arena arena;
	char *secret, *again;

	arena_init(&arena);
	arena.wipe = true;
	secret = arena_copy(&arena, "secret", 6);
	arena_reset(&arena);
	again = arena_alloc(&arena, 7);
	ck_assert_ptr_eq(again, secret); /* the same memory, emptied */
	ck_assert_int_eq(again[0] | again[3] | again[5], 0);
	ck_assert_ptr_nonnull(arena_alloc(&arena, 1 << 20));
	arena_reset(&arena);
	ck_assert_uint_lt(arena.total, 1 << 16);
	arena_free(&arena);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, grows_and_keeps);
	tcase_add_test(tests, cap_is_kept);
	tcase_add_test(tests, sizes_that_cannot_be);
	tcase_add_test(tests, joins);
	tcase_add_test(tests, wipes);
	tcase_add_test(tests, arena_blocks_do_not_overlap);
	tcase_add_test(tests, arena_copies);
	tcase_add_test(tests, arena_wipes_and_reuses);
	return unit_run("buffer", tests, true);
}
