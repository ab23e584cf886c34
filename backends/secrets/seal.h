/* Tokens at rest: AES-256-GCM (libsodium) under a 32-byte key in guarded, locked memory.
 *
 * Format (shared with existing installations): base64 (standard, padded) of ciphertext followed by
 * the 16-byte tag, no additional data; a token's two texts share one nonce column, base64 of 24
 * bytes: the access token's 12, then the refresh token's. Thread: sealing and opening are safe from
 * any thread at once. */
#ifndef PIERRE_SEAL_H
#define PIERRE_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../protocol/arena.h"
#include "../../protocol/error.h"

/* Nonces are random and have 96 bits: after 2^32 sealings under one key the chance of one coming
 * twice is no longer negligible. */
#define SEAL_LIMIT (UINT64_C(1) << 32)
#define SEAL_WARN (UINT64_C(1) << 31)

enum { SEAL_KEY_BYTES = 32, SEAL_NONCE_BYTES = 12, SEAL_TAG_BYTES = 16, SEAL_NONCE_TEXT = 32 };

struct seal;

/* Takes the key from 32 bytes, which it wipes. Fails with exit_code 69 without the CPU's AES, 78
 * when locking memory fails and `must_lock`. */
int seal_new(struct seal **ret, unsigned char key[SEAL_KEY_BYTES], bool must_lock, struct err *err);
/* Another holder, such as a thread: the key goes with the last of them. */
struct seal *seal_hold(struct seal *seal);
void seal_free(struct seal *seal); /* wipes; NULL is fine */
/* A second key, which opens what the first does not and seals nothing: the one that was in use
 * before. Taken over, also on failure (exit_code 78: it is the same key). Before anything is
 * opened. */
int seal_add_previous(struct seal *seal, struct seal *previous, struct err *err);
const struct seal *seal_previous(const struct seal *seal); /* NULL: there is none */
/* The 44 characters of standard base64 -> 32 bytes; the message names the rule, never the text.
 * exit_code 78. */
int seal_key_parse(
	const char *text, size_t length, unsigned char key[SEAL_KEY_BYTES], struct err *err);
void seal_key_generate(char out[45]); /* NUL-terminated base64 */

/* The raw wrapper, for which the tests run published vectors. out: length + 16 / length - 16 bytes.
 * open: false when altered. */
void seal_encrypt(const struct seal *seal, const unsigned char nonce[SEAL_NONCE_BYTES],
	const void *plain, size_t length, const void *ad, size_t ad_length, unsigned char *out);
bool seal_decrypt(const struct seal *seal, const unsigned char nonce[SEAL_NONCE_BYTES],
	const void *sealed, size_t length, const void *ad, size_t ad_length, unsigned char *out);

/* ERR_STORAGE when the key has sealed all that it may.
 * A token's two texts -> base64 texts and the nonce column (32 characters), in the arena,
 * NUL-terminated. */
int seal_token(struct seal *seal, struct arena *arena, const char *access, size_t access_length,
	const char *refresh, size_t refresh_length, const char *out[3], size_t out_length[3],
	struct err *err);
/* One text of a token. part: 0 access, 1 refresh. ERR_DECRYPTION_FAILED with one message for every
 * cause. Plain text in the arena, valid UTF-8 checked. */
int seal_open(struct seal *seal, struct arena *arena, const char *sealed, size_t length,
	const char *nonce, size_t nonce_length, int part, const char **plain, size_t *plain_length,
	struct err *err);

enum seal_fit {
	SEAL_CURRENT, /* both texts open with the key in use */
	SEAL_OLDER, /* they open, one at least with the previous key only: out has them sealed anew
	             */
	SEAL_NEITHER, /* no key opens them */
};

/* Which key opens a token as it is stored: access, refresh, nonce. */
int seal_again(struct seal *seal, struct arena *arena, const char *const stored[3],
	const size_t length[3], enum seal_fit *fit, const char *out[3], size_t out_length[3],
	struct err *err);

/* The key check value that databases hold: a sealed constant, `base64(nonce):base64(sealed)`. */
int seal_check_make(const struct seal *seal, char out[128]);
bool seal_check_matches(
	const struct seal *seal, const char *text, size_t length); /* with this key alone */

/* How much the key has sealed in its life, which the database remembers. Numbers are written down
 * there before they are used up, in blocks that grow with use, so that sealing waits for nothing
 * and little is lost when the process is killed. */
void seal_count_start(struct seal *seal, uint64_t stored);
/* How many are to be added to the stored number now; 0: none, or somebody is at it. Then one of the
 * two below. Any thread. */
uint64_t seal_count_wanted(struct seal *seal);
void seal_count_stored(
	struct seal *seal, uint64_t added, uint64_t stored); /* stored: what the database has now */
void seal_count_failed(struct seal *seal);
uint64_t seal_count_total(const struct seal *seal);
/* The name of that number in the database: `sealed:` and the fingerprint. */
enum { SEAL_COUNT_NAME = 24 };
void seal_count_name(const struct seal *seal, char out[SEAL_COUNT_NAME]);

/* 16 hexadecimal digits that tell keys apart and give nothing of them away. */
void seal_fingerprint(const struct seal *seal, char out[17]);
bool seal_locked(const struct seal *seal);    /* its memory cannot go to the swap space */
uint64_t seal_count(const struct seal *seal); /* texts sealed since start */
uint64_t seal_opened(const struct seal *seal);

#endif
