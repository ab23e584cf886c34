/* base64 compared with libsodium's, which is slow and known to be correct. Would catch: lax
 * padding, leftover bits, bytes beyond ASCII accepted as digits, a byte too many written. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "../../backends/secrets/base64.h"
#include "unit.h"

enum { MAX = 100, GUARD = 0x5A };

static bool sodium_says(const char *text, size_t length, unsigned char *out, size_t *out_length)
{
	for (size_t i = 0; i < length; i++)
		if ((text[i] & 0x80) != 0) /* it accepts some of these as + and / */
			return false;
	return sodium_base642bin(out, MAX, text, length, NULL, out_length, NULL,
		       sodium_base64_VARIANT_ORIGINAL) == 0;
}

static void compare(const char *text, size_t length)
{
	unsigned char ours[MAX + 1], theirs[MAX];
	size_t our_length, their_length = 0;
	bool right = sodium_says(text, length, theirs, &their_length);

	memset(ours, GUARD, sizeof ours);
	ck_assert_msg(base64_decode(text, length, ours, &our_length) == right, "\"%.*s\" of %zu",
		(int)length, text, length);
	ck_assert_uint_eq(ours[length / 4 * 3], GUARD);
	if (right) {
		ck_assert_uint_eq(our_length, their_length);
		ck_assert_mem_eq(ours, theirs, our_length);
	}
}

START_TEST(round_trip)
{
	unsigned char bytes[60];
	char ours[MAX], theirs[MAX];

	for (unsigned round = 0, max = unit_rounds(2000); round < max; round++) {
		size_t length = (size_t)round % sizeof bytes;

		randombytes_buf(bytes, sizeof bytes);
		memset(ours, GUARD, sizeof ours);
		base64_encode(bytes, length, ours);
		sodium_bin2base64(
			theirs, sizeof theirs, bytes, length, sodium_base64_VARIANT_ORIGINAL);
		ck_assert_str_eq(ours, theirs);
		ck_assert_uint_eq(strlen(ours), BASE64_LENGTH(length));
		ck_assert_int_eq(ours[strlen(ours) + 1], GUARD);
		compare(ours, strlen(ours));
	}
}
END_TEST

/* Every byte at every position of a whole group and of each padded one. */
START_TEST(every_byte)
{
	static const char *const texts[] = {"QUJDQUJD", "QUJDQUI=", "QUJDQQ==", "QUI=", "QQ=="};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		for (size_t at = 0; at < strlen(texts[i]); at++)
			for (int byte = 0; byte < 256; byte++) {
				char text[9];

				memcpy(text, texts[i], strlen(texts[i]) + 1);
				text[at] = (char)byte;
				for (size_t length = 0; length <= strlen(texts[i]); length++)
					compare(text, length);
			}
}
END_TEST

START_TEST(mutated)
{
	static const char letters[] = "AZaz059+/=-_ \n\xC3";

	for (unsigned round = 0, max = unit_rounds(50000); round < max; round++) {
		char text[17];
		size_t length = randombytes_uniform(16);

		for (size_t i = 0; i < length; i++)
			text[i] = letters[randombytes_uniform(
				round % 2 == 0 ? 10 : sizeof letters - 1)];
		compare(text, length);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("base64");

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_add_test(tests, round_trip);
	tcase_add_test(tests, every_byte);
	tcase_add_test(tests, mutated);
	return unit_run("base64", tests, true);
}
