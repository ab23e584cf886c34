/* A replacement of the daemon's seal that seals nothing: texts go to the database and back
 * unchanged. It is linked into bench-unsealed, the daemon that measures the cost of sealing. It
 * is never part of an installation. */
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../backends/secrets/seal.h"

struct seal {
	atomic_uint holders;
	atomic_uint_fast64_t sealed, opened;
};

static const char nonce_text[SEAL_NONCE_TEXT + 1] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
static const char check_text[] = "unsealed";

int seal_new(struct seal **ret, unsigned char key[SEAL_KEY_BYTES], bool must_lock, struct err *err)
{
	(void)must_lock;
	sodium_memzero(key, SEAL_KEY_BYTES);
	*ret = calloc(1, sizeof **ret);
	if (*ret == NULL || sodium_init() < 0)
		return err_set(err, ERR_INTERNAL, "out of memory");
	atomic_init(&(*ret)->holders, 1);
	return 0;
}

struct seal *seal_hold(struct seal *seal)
{
	atomic_fetch_add(&seal->holders, 1);
	return seal;
}

void seal_free(struct seal *seal)
{
	if (seal != NULL && atomic_fetch_sub(&seal->holders, 1) == 1)
		free(seal);
}

int seal_add_previous(struct seal *seal, struct seal *previous, struct err *err)
{
	(void)seal;
	seal_free(previous);
	return err_set(err, ERR_INTERNAL, "nothing is sealed here");
}

const struct seal *seal_previous(const struct seal *seal)
{
	(void)seal;
	return NULL;
}

const unsigned char *seal_derived(const struct seal *seal)
{
	static const unsigned char key[SEAL_KEY_BYTES];

	(void)seal;
	return key;
}

const unsigned char *seal_mark(const struct seal *seal)
{
	return seal_derived(seal);
}

enum binding_format seal_format(const struct seal *seal)
{
	(void)seal;
	return BINDING_ALL;
}

void seal_set_format(struct seal *seal, enum binding_format format, bool at_once)
{
	(void)seal;
	(void)format;
	(void)at_once;
}

void seal_encrypt(const struct seal *seal, const unsigned char nonce[SEAL_NONCE_BYTES],
	const void *plain, size_t length, const void *ad, size_t ad_length, unsigned char *out)
{
	(void)seal;
	(void)nonce;
	(void)ad;
	(void)ad_length;
	memcpy(out, plain, length);
	memset(out + length, 0, SEAL_TAG_BYTES);
}

bool seal_decrypt(const struct seal *seal, const unsigned char nonce[SEAL_NONCE_BYTES],
	const void *sealed, size_t length, const void *ad, size_t ad_length, unsigned char *out)
{
	(void)seal;
	(void)nonce;
	(void)ad;
	(void)ad_length;
	memcpy(out, sealed, length - SEAL_TAG_BYTES);
	return true;
}

/* The text with the mark of a bound token, which the database demands. */
static const char *mark(struct arena *arena, const char *text, size_t length, size_t *out_length)
{
	char *out = arena_alloc(arena, BINDING_MARK_LENGTH + length + 1);

	if (out == NULL)
		return NULL;
	memcpy(out, BINDING_MARK, BINDING_MARK_LENGTH);
	memcpy(out + BINDING_MARK_LENGTH, text, length);
	out[BINDING_MARK_LENGTH + length] = '\0';
	*out_length = BINDING_MARK_LENGTH + length;
	return out;
}

int seal_token(struct seal *seal, struct binding_owner *owner, struct arena *arena,
	const char *access, size_t access_length, const char *refresh, size_t refresh_length,
	const char *out[3], size_t out_length[3], struct err *err)
{
	(void)owner;
	out[0] = mark(arena, access, access_length, &out_length[0]);
	out[1] = mark(arena, refresh, refresh_length, &out_length[1]);
	if (out[0] == NULL || out[1] == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	out[2] = nonce_text;
	out_length[2] = SEAL_NONCE_TEXT;
	atomic_fetch_add_explicit(&seal->sealed, 2, memory_order_relaxed);
	return 0;
}

int seal_open(struct seal *seal, struct binding_owner *owner, struct arena *arena,
	const char *sealed, size_t length, const char *nonce, size_t nonce_length, int part,
	const char **plain, size_t *plain_length, struct err *err)
{
	size_t skipped = binding_marked(sealed, length) ? BINDING_MARK_LENGTH : 0;

	(void)owner;
	(void)nonce;
	(void)nonce_length;
	(void)part;
	*plain = arena_copy(arena, sealed + skipped, length - skipped);
	if (*plain == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	*plain_length = length - skipped;
	atomic_fetch_add_explicit(&seal->opened, 1, memory_order_relaxed);
	return 0;
}

int seal_again(struct seal *seal, struct binding_owner *owner, struct arena *arena,
	const char *const stored[3], const size_t length[3], enum seal_fit *fit, const char *out[3],
	size_t out_length[3], struct err *err)
{
	(void)owner;
	(void)seal;
	(void)arena;
	(void)stored;
	(void)length;
	(void)out;
	(void)out_length;
	(void)err;
	*fit = SEAL_CURRENT;
	return 0;
}

int seal_check_make(const struct seal *seal, char out[128])
{
	(void)seal;
	memcpy(out, check_text, sizeof check_text);
	return 0;
}

bool seal_check_matches(const struct seal *seal, const char *text, size_t length)
{
	(void)seal;
	return length == sizeof check_text - 1 && memcmp(text, check_text, length) == 0;
}

uint64_t seal_count(const struct seal *seal)
{
	return atomic_load_explicit(&seal->sealed, memory_order_relaxed);
}

uint64_t seal_opened(const struct seal *seal)
{
	return atomic_load_explicit(&seal->opened, memory_order_relaxed);
}

void seal_fingerprint(const struct seal *seal, char out[17])
{
	(void)seal;
	(void)snprintf(out, 17, "%016d", 0);
}

bool seal_locked(const struct seal *seal)
{
	(void)seal;
	return true;
}

/* No count is kept. */
void seal_count_start(struct seal *seal, uint64_t stored)
{
	(void)seal;
	(void)stored;
}

uint64_t seal_count_wanted(struct seal *seal)
{
	(void)seal;
	return 0;
}

void seal_count_stored(struct seal *seal, uint64_t added, uint64_t stored)
{
	(void)seal;
	(void)added;
	(void)stored;
}

void seal_count_failed(struct seal *seal)
{
	(void)seal;
}

uint64_t seal_count_total(const struct seal *seal)
{
	return seal_count(seal);
}

void seal_count_name(const struct seal *seal, char out[SEAL_COUNT_NAME])
{
	memcpy(out, "sealed:", 7);
	seal_fingerprint(seal, out + 7);
}
