#include "seal_key.h"

#include <sodium.h>
#include <stdlib.h>
#include <sysexits.h>

/* libsodium alone accepts bytes beyond ASCII for + and /. */
bool seal_key_decode(
	unsigned char *bytes, size_t size, const char *text, size_t length, size_t *out_length)
{
	for (size_t i = 0; i < length; i++)
		if ((text[i] & 0x80) != 0)
			return false;
	return sodium_base642bin(bytes, size, text, length, NULL, out_length, NULL,
		       sodium_base64_VARIANT_ORIGINAL) == 0;
}

int seal_key_parse(
	const char *text, size_t length, unsigned char key[SEAL_KEY_BYTES], struct err *err)
{
	size_t got = 0;

	while (length > 0 &&
		(text[length - 1] == '\n' || text[length - 1] == '\r' || text[length - 1] == ' '))
		length--; /* a key file ends with a newline */
	if (length == 0)
		return err_exit(err, EX_CONFIG,
			"the encryption key is empty: it must be 32 bytes in standard base64 "
			"(44 characters); `pierre-dbd --generate-key` creates one");
	if (sodium_init() < 0 || !seal_key_decode(key, SEAL_KEY_BYTES, text, length, &got) ||
		got != SEAL_KEY_BYTES) {
		sodium_memzero(key, SEAL_KEY_BYTES);
		return err_exit(err, EX_CONFIG,
			"the encryption key is not 32 bytes in standard base64 (44 characters, "
			"padded with =); "
			"`pierre-dbd --generate-key` creates one");
	}
	return 0;
}

void seal_key_generate(char out[45])
{
	unsigned char key[SEAL_KEY_BYTES];

	if (sodium_init() < 0)
		abort();
	randombytes_buf(key, sizeof key);
	sodium_bin2base64(out, 45, key, sizeof key, sodium_base64_VARIANT_ORIGINAL);
	sodium_memzero(key, sizeof key);
}
