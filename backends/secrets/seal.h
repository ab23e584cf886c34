/* Tokens at rest: AES-256-GCM (libsodium) under a 32-byte key in guarded, locked memory.
 *
 * The old format is shared with existing installations: base64 (standard, padded) of the ciphertext
 * and its 16-byte tag, without associated data. The bound format has associated data and a mark in
 * front of the base64 (binding.h). In both, a token's two texts share one nonce column, base64 of
 * 24 bytes: the access token's 12, then the refresh token's.
 *
 * Thread: any thread may seal and open concurrently. */
#ifndef PIERRE_SEAL_H
#define PIERRE_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../protocol/arena.h"
#include "../../protocol/error.h"
#include "binding.h"

/* Nonces are random, of 96 bits: after 2^32 sealed texts under one key the chance of a repeated
 * nonce is no longer negligible. */
#define SEAL_LIMIT (UINT64_C(1) << 32)
#define SEAL_WARN (UINT64_C(1) << 31)

enum {
	SEAL_KEY_BYTES = 32,
	SEAL_NONCE_BYTES = 12,
	SEAL_TAG_BYTES = 16,
	SEAL_NONCE_TEXT = 32,
	SEAL_MARK_BYTES = 8
};

struct seal;

/* Creates a seal from 32 bytes, which it wipes. Fails with exit_code 69 without the CPU's AES, 78
 * when locking memory fails and `must_lock`. */
int seal_new(struct seal **ret, unsigned char key[SEAL_KEY_BYTES], bool must_lock, struct err *err);
/* Adds a holder, such as a thread: the last one to release it frees the key. */
struct seal *seal_hold(struct seal *seal);
void seal_free(struct seal *seal); /* wipes the key; NULL is allowed */
/* Adds the previously used key, which opens what the first does not and seals nothing. Takes
 * ownership, also on failure (exit_code 78: the same key). Call before opening anything. */
int seal_add_previous(struct seal *seal, struct seal *previous, struct err *err);
const struct seal *seal_previous(const struct seal *seal); /* NULL: none */
/* The key of SEAL_KEY_BYTES for stored answers (idempotency.h), which follows from this one. */
const unsigned char *seal_derived(const struct seal *seal);
/* SEAL_MARK_BYTES that identify a key: the fingerprint as bytes. */
const unsigned char *seal_mark(const struct seal *seal);
/* The format in which tokens are sealed. BINDING_ALL also refuses to open the old one, at once or
 * after a pause: reads that began before the change may still see it. Any thread. */
enum binding_format seal_format(const struct seal *seal);
void seal_set_format(struct seal *seal, enum binding_format format, bool at_once);

/* The raw cipher, which the tests check against published vectors. out: length + 16 / length - 16
 * bytes. open: false when altered. */
void seal_encrypt(const struct seal *seal, const unsigned char nonce[SEAL_NONCE_BYTES],
	const void *plain, size_t length, const void *ad, size_t ad_length, unsigned char *out);
bool seal_decrypt(const struct seal *seal, const unsigned char nonce[SEAL_NONCE_BYTES],
	const void *sealed, size_t length, const void *ad, size_t ad_length, unsigned char *out);

/* Seals a token's two texts in the current format: sets the texts and the nonce column (32
 * characters), in the arena, NUL-terminated. ERR_STORAGE when the key has reached its limit. */
int seal_token(struct seal *seal, struct binding_owner *owner, struct arena *arena,
	const char *access, size_t access_length, const char *refresh, size_t refresh_length,
	const char *out[3], size_t out_length[3], struct err *err);
/* Opens one text of a token. part: 0 access, 1 refresh. ERR_DECRYPTION_FAILED with one message for
 * every cause. Plain text in the arena, checked for valid UTF-8. */
int seal_open(struct seal *seal, struct binding_owner *owner, struct arena *arena,
	const char *sealed, size_t length, const char *nonce, size_t nonce_length, int part,
	const char **plain, size_t *plain_length, struct err *err);

enum seal_fit {
	SEAL_CURRENT, /* the current key opens both texts, and they have the current format */
	SEAL_OLDER,   /* both open, at least one only with the previous key or in the old format:
	                 out has them sealed again */
	SEAL_NEITHER, /* no key opens them, or they belong to another owner */
};

/* What opens a stored token: access, refresh, nonce. */
int seal_again(struct seal *seal, struct binding_owner *owner, struct arena *arena,
	const char *const stored[3], const size_t length[3], enum seal_fit *fit, const char *out[3],
	size_t out_length[3], struct err *err);

/* The key check value that databases hold: a sealed constant, `base64(nonce):base64(sealed)`. */
int seal_check_make(const struct seal *seal, char out[128]);
bool seal_check_matches(
	const struct seal *seal, const char *text, size_t length); /* with this key alone */

/* How many texts the key has sealed in its life, which the database stores. Numbers are reserved in
 * blocks that grow with use. So sealing never waits, and a killed process wastes few numbers. */
void seal_count_start(struct seal *seal, uint64_t stored);
/* How many to add to the stored number now; 0: none, or an update is in progress. Follow it by one
 * of the two below. Any thread. */
uint64_t seal_count_wanted(struct seal *seal);
void seal_count_stored(struct seal *seal, uint64_t added,
	uint64_t stored); /* stored: the number in the database now */
void seal_count_failed(struct seal *seal);
uint64_t seal_count_total(const struct seal *seal);
/* The name of this number in the database: `sealed:` and the fingerprint. */
enum { SEAL_COUNT_NAME = 24 };
void seal_count_name(const struct seal *seal, char out[SEAL_COUNT_NAME]);

/* 16 hexadecimal digits that identify a key and reveal nothing about it. */
void seal_fingerprint(const struct seal *seal, char out[17]);
bool seal_locked(const struct seal *seal);    /* its memory cannot be swapped out */
uint64_t seal_count(const struct seal *seal); /* texts sealed since start */
uint64_t seal_opened(const struct seal *seal);

#endif
