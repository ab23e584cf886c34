/* Tokens at rest: AES-256-GCM (libsodium) under a 32-byte key in guarded, locked memory.
 *
 * Format (shared with existing installations): base64 (standard, padded) of ciphertext followed by the 16-byte tag, no
 * additional data; a token's two texts share one nonce column, base64 of 24 bytes: the access token's 12, then the
 * refresh token's. Thread: sealing and opening are safe from any thread at once. */
#ifndef PIERRE_SEAL_H
#define PIERRE_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../protocol/arena.h"
#include "../protocol/error.h"

enum { SEAL_KEY_BYTES = 32, SEAL_NONCE_BYTES = 12, SEAL_TAG_BYTES = 16, SEAL_NONCE_TEXT = 32 };

struct seal;

/* Takes the key from 32 bytes, which it wipes. Fails with exit_code 69 without the CPU's AES, 78 when locking memory fails and `must_lock`. */
int seal_new(struct seal **ret, unsigned char key[SEAL_KEY_BYTES], bool must_lock, struct err *err);
void seal_free(struct seal *seal);  /* wipes; NULL is fine */
/* The 44 characters of standard base64 -> 32 bytes; the message names the rule, never the text. exit_code 78. */
int seal_key_parse(const char *text, size_t length, unsigned char key[SEAL_KEY_BYTES], struct err *err);
void seal_key_generate(char out[45]);  /* NUL-terminated base64 */

/* The raw wrapper, for which the tests run published vectors. out: length + 16 / length - 16 bytes. open: false when altered. */
void seal_encrypt(const struct seal *seal, const unsigned char nonce[SEAL_NONCE_BYTES], const void *plain, size_t length,
                  const void *ad, size_t ad_length, unsigned char *out);
bool seal_decrypt(const struct seal *seal, const unsigned char nonce[SEAL_NONCE_BYTES], const void *sealed, size_t length,
                  const void *ad, size_t ad_length, unsigned char *out);

/* A token's two texts -> base64 texts and the nonce column (32 characters), in the arena, NUL-terminated. */
int seal_token(struct seal *seal, struct arena *arena, const char *access, size_t access_length, const char *refresh,
               size_t refresh_length, const char *out[3], size_t out_length[3], struct err *err);
/* One text of a token. part: 0 access, 1 refresh. ERR_DECRYPTION_FAILED with one message for every cause. Plain text in the arena, valid UTF-8 checked. */
int seal_open(struct seal *seal, struct arena *arena, const char *sealed, size_t length, const char *nonce,
              size_t nonce_length, int part, const char **plain, size_t *plain_length, struct err *err);

/* The key check value that databases hold: a sealed constant, `base64(nonce):base64(sealed)`. */
int seal_check_make(struct seal *seal, char out[128]);
bool seal_check_matches(struct seal *seal, const char *text, size_t length);

/* 16 hexadecimal digits that tell keys apart and give nothing of them away. */
void seal_fingerprint(const struct seal *seal, char out[17]);
bool seal_locked(const struct seal *seal);  /* its memory cannot go to the swap space */
uint64_t seal_count(const struct seal *seal);  /* texts sealed since start */
uint64_t seal_opened(const struct seal *seal);

#endif
