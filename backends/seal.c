#include "seal.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "../protocol/value.h"

/* The expanded key stands in guarded memory of its own; this struct holds nothing secret. */
struct seal {
	crypto_aead_aes256gcm_state *state;
	unsigned char fingerprint[8];
	bool locked;
	atomic_uint_fast64_t sealed, opened;
};

static_assert(SEAL_KEY_BYTES == crypto_aead_aes256gcm_KEYBYTES, "key size");
static_assert(SEAL_NONCE_BYTES == crypto_aead_aes256gcm_NPUBBYTES, "nonce size");
static_assert(SEAL_TAG_BYTES == crypto_aead_aes256gcm_ABYTES, "tag size");

/* Sealed under the key at first start; what it says is no secret, that it opens proves the key. */
static const char check_text[] = "pierre-dbd key check";

/* One way: a hash of a constant under the key. */
static void make_fingerprint(struct seal *seal, const unsigned char key[SEAL_KEY_BYTES])
{
	static const char text[] = "pierre-dbd key fingerprint";
	unsigned char hash[crypto_generichash_BYTES];

	(void)crypto_generichash(hash, sizeof hash, (const unsigned char *)text, sizeof text - 1, key, SEAL_KEY_BYTES);
	memcpy(seal->fingerprint, hash, sizeof seal->fingerprint);
}

int seal_new(struct seal **ret, unsigned char key[SEAL_KEY_BYTES], bool must_lock, struct err *err)
{
	struct seal *seal = NULL;

	if (sodium_init() < 0) {
		err_exit(err, EX_UNAVAILABLE, "libsodium could not be initialised");
		goto fail;
	}
	if (!crypto_aead_aes256gcm_is_available()) {
		err_exit(err, EX_UNAVAILABLE,
		         "this machine's CPU has no AES instructions (AES-NI and PCLMUL), which the token format needs");
		goto fail;
	}
	seal = calloc(1, sizeof *seal);
	if (seal != NULL)
		seal->state = sodium_malloc(sizeof *seal->state);
	if (seal == NULL || seal->state == NULL) {
		err_exit(err, EX_OSERR, "no memory for the encryption key");
		goto fail;
	}
	/* sodium_malloc succeeds even when its mlock fails, so ask again and look. */
	seal->locked = sodium_mlock(seal->state, sizeof *seal->state) == 0;
	if (!seal->locked && must_lock) {
		err_exit(err, EX_CONFIG,
		         "the encryption key cannot be locked in memory (%s): raise the limit on locked memory (ulimit -l, "
		         "LimitMEMLOCK=)", strerror(errno));
		goto fail;
	}
	crypto_aead_aes256gcm_beforenm(seal->state, key);
	make_fingerprint(seal, key);
	sodium_memzero(key, SEAL_KEY_BYTES);
	sodium_mprotect_readonly(seal->state);
	*ret = seal;
	return 0;
fail:
	sodium_memzero(key, SEAL_KEY_BYTES);
	seal_free(seal);
	return -1;
}

void seal_free(struct seal *seal)
{
	if (seal == NULL)
		return;
	sodium_free(seal->state); /* wipes */
	free(seal);
}

/* Strict standard base64. libsodium by itself takes bytes beyond ASCII for + and /. */
static bool from_base64(unsigned char *bytes, size_t size, const char *text, size_t length, size_t *out_length)
{
	for (size_t i = 0; i < length; i++)
		if ((text[i] & 0x80) != 0)
			return false;
	return sodium_base642bin(bytes, size, text, length, NULL, out_length, NULL, sodium_base64_VARIANT_ORIGINAL) == 0;
}

int seal_key_parse(const char *text, size_t length, unsigned char key[SEAL_KEY_BYTES], struct err *err)
{
	size_t got = 0;

	while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r' || text[length - 1] == ' '))
		length--; /* a key file ends with a newline */
	if (length == 0)
		return err_exit(err, EX_CONFIG, "the encryption key is empty: it must be 32 bytes in standard base64 "
		                                "(44 characters); `pierre-dbd --generate-key` makes one");
	if (sodium_init() < 0 || !from_base64(key, SEAL_KEY_BYTES, text, length, &got) || got != SEAL_KEY_BYTES) {
		sodium_memzero(key, SEAL_KEY_BYTES);
		return err_exit(err, EX_CONFIG,
		                "the encryption key is not 32 bytes in standard base64 (44 characters, padded with =); "
		                "`pierre-dbd --generate-key` makes one");
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

void seal_encrypt(const struct seal *seal, const unsigned char nonce[SEAL_NONCE_BYTES], const void *plain, size_t length,
                  const void *ad, size_t ad_length, unsigned char *out)
{
	unsigned long long got = 0;
	int failed = crypto_aead_aes256gcm_encrypt_afternm(out, &got, plain, length, ad, ad_length, NULL, nonce, seal->state);

	assert(failed == 0 && got == length + SEAL_TAG_BYTES);
	(void)failed;
}

bool seal_decrypt(const struct seal *seal, const unsigned char nonce[SEAL_NONCE_BYTES], const void *sealed, size_t length,
                  const void *ad, size_t ad_length, unsigned char *out)
{
	unsigned long long got = 0;

	return length >= SEAL_TAG_BYTES &&
	       crypto_aead_aes256gcm_decrypt_afternm(out, &got, NULL, sealed, length, ad, ad_length, nonce, seal->state) == 0;
}

/* Seals one text into base64 in the arena. NULL when memory is out. */
static char *seal_text(struct seal *seal, struct arena *arena, const unsigned char *nonce, const char *text, size_t length,
                       size_t *out_length)
{
	size_t sealed_length = length + SEAL_TAG_BYTES;
	size_t base64_size = sodium_base64_ENCODED_LEN(sealed_length, sodium_base64_VARIANT_ORIGINAL);
	unsigned char *sealed = arena_alloc(arena, sealed_length);
	char *base64 = arena_alloc(arena, base64_size);

	if (sealed == NULL || base64 == NULL)
		return NULL;
	seal_encrypt(seal, nonce, text, length, NULL, 0, sealed);
	sodium_bin2base64(base64, base64_size, sealed, sealed_length, sodium_base64_VARIANT_ORIGINAL);
	*out_length = base64_size - 1;
	atomic_fetch_add_explicit(&seal->sealed, 1, memory_order_relaxed);
	return base64;
}

int seal_token(struct seal *seal, struct arena *arena, const char *access, size_t access_length, const char *refresh,
               size_t refresh_length, const char *out[3], size_t out_length[3], struct err *err)
{
	unsigned char nonces[2 * SEAL_NONCE_BYTES];
	char *nonce_text = arena_alloc(arena, SEAL_NONCE_TEXT + 1);

	/* Random 96-bit nonces: safe to 2^32 sealings under one key. */
	randombytes_buf(nonces, sizeof nonces);
	out[0] = seal_text(seal, arena, nonces, access, access_length, &out_length[0]);
	out[1] = seal_text(seal, arena, nonces + SEAL_NONCE_BYTES, refresh, refresh_length, &out_length[1]);
	if (out[0] == NULL || out[1] == NULL || nonce_text == NULL)
		return err_set(err, ERR_INTERNAL, "memory is out");
	sodium_bin2base64(nonce_text, SEAL_NONCE_TEXT + 1, nonces, sizeof nonces, sodium_base64_VARIANT_ORIGINAL);
	out[2] = nonce_text;
	out_length[2] = SEAL_NONCE_TEXT;
	return 0;
}

/* Strict standard base64 of `length` characters into memory of the arena; NULL when it is none or memory is out. */
static unsigned char *decode_base64(struct arena *arena, const char *text, size_t length, size_t *out_length)
{
	size_t size = length / 4 * 3 + 3;
	unsigned char *bytes = arena_alloc(arena, size);

	return bytes != NULL && from_base64(bytes, size, text, length, out_length) ? bytes : NULL;
}

int seal_open(struct seal *seal, struct arena *arena, const char *sealed, size_t length, const char *nonce,
              size_t nonce_length, int part, const char **plain, size_t *plain_length, struct err *err)
{
	size_t nonces_size = 0, bytes_size = 0;
	unsigned char *nonces = decode_base64(arena, nonce, nonce_length, &nonces_size);
	unsigned char *bytes = decode_base64(arena, sealed, length, &bytes_size);
	unsigned char *out;

	if (nonces == NULL || nonces_size != (size_t)2 * SEAL_NONCE_BYTES || bytes == NULL || bytes_size < SEAL_TAG_BYTES)
		goto refused;
	out = arena_alloc(arena, bytes_size);
	if (out == NULL)
		return err_set(err, ERR_INTERNAL, "memory is out");
	if (!seal_decrypt(seal, nonces + part * SEAL_NONCE_BYTES, bytes, bytes_size, NULL, 0, out))
		goto refused;
	*plain_length = bytes_size - SEAL_TAG_BYTES;
	if (!utf8_valid((const char *)out, *plain_length))
		goto refused;
	out[*plain_length] = '\0'; /* over the tag's room */
	*plain = (const char *)out;
	atomic_fetch_add_explicit(&seal->opened, 1, memory_order_relaxed);
	return 0;
refused:
	/* One text for every cause: which part of a forgery was wrong helps only its author. */
	return err_set(err, ERR_DECRYPTION_FAILED, "the stored token cannot be opened: it was sealed with another key or altered");
}

int seal_check_make(struct seal *seal, char out[128])
{
	unsigned char nonce[SEAL_NONCE_BYTES], sealed[sizeof check_text - 1 + SEAL_TAG_BYTES];

	randombytes_buf(nonce, sizeof nonce);
	seal_encrypt(seal, nonce, check_text, sizeof check_text - 1, NULL, 0, sealed);
	sodium_bin2base64(out, 128, nonce, sizeof nonce, sodium_base64_VARIANT_ORIGINAL);
	size_t used = strlen(out);
	out[used++] = ':';
	sodium_bin2base64(out + used, 128 - used, sealed, sizeof sealed, sodium_base64_VARIANT_ORIGINAL);
	return 0;
}

bool seal_check_matches(struct seal *seal, const char *text, size_t length)
{
	unsigned char nonce[SEAL_NONCE_BYTES], sealed[128], plain[128];
	const char *colon = memchr(text, ':', length);
	size_t nonce_length = 0, sealed_length = 0;

	if (colon == NULL)
		return false;
	if (!from_base64(nonce, sizeof nonce, text, (size_t)(colon - text), &nonce_length) ||
	    !from_base64(sealed, sizeof sealed, colon + 1, length - (size_t)(colon + 1 - text), &sealed_length))
		return false;
	return nonce_length == sizeof nonce && sealed_length == sizeof check_text - 1 + SEAL_TAG_BYTES &&
	       seal_decrypt(seal, nonce, sealed, sealed_length, NULL, 0, plain) &&
	       memcmp(plain, check_text, sizeof check_text - 1) == 0;
}

void seal_fingerprint(const struct seal *seal, char out[17])
{
	(void)sodium_bin2hex(out, 17, seal->fingerprint, sizeof seal->fingerprint);
}

bool seal_locked(const struct seal *seal)
{
	return seal->locked;
}

uint64_t seal_count(const struct seal *seal)
{
	return atomic_load_explicit(&seal->sealed, memory_order_relaxed);
}

uint64_t seal_opened(const struct seal *seal)
{
	return atomic_load_explicit(&seal->opened, memory_order_relaxed);
}
