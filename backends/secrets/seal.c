#include "seal.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "../../protocol/value.h"
#include "base64.h"
#include "seal_key.h"

/* The expanded key is in its own guarded memory; this struct holds no secret. */
struct seal {
	crypto_aead_aes256gcm_state *state;
	unsigned char *derived; /* another key, made from it; guarded, too */
	struct seal *previous;  /* opens what this key does not; NULL: none */
	unsigned char fingerprint[8];
	bool locked;
	atomic_int format;              /* enum binding_format */
	atomic_uint_fast64_t old_until; /* BINDING_ALL: until then the old format opens, too */
	atomic_uint holders;
	atomic_uint_fast64_t sealed, opened; /* since the start */
	atomic_uint_fast64_t used,
		reserved; /* of the key's life: sealed, and stored in the database */
	atomic_bool reserving;
};

/* Sizes of the blocks that are stored at a time. A block's rest counts as used when the process
 * ends. */
enum { BLOCK_MIN = 1024, BLOCK_MAX = 65536 };
/* A read sees no state of the database that is older than this. */
static const uint64_t reads_last_ns = UINT64_C(60000000000);

static_assert(SEAL_KEY_BYTES == crypto_aead_aes256gcm_KEYBYTES, "key size");
static_assert(SEAL_NONCE_BYTES == crypto_aead_aes256gcm_NPUBBYTES, "nonce size");
static_assert(SEAL_TAG_BYTES == crypto_aead_aes256gcm_ABYTES, "tag size");

/* Sealed under the key at first start. The text is not secret; opening it proves the key. */
static const char check_text[] = "pierre-dbd key check";

/* One way: a hash of a constant under the key. */
static void make_fingerprint(struct seal *seal, const unsigned char key[SEAL_KEY_BYTES])
{
	static const char text[] = "pierre-dbd key fingerprint";
	unsigned char hash[crypto_generichash_BYTES];

	(void)crypto_generichash(hash, sizeof hash, (const unsigned char *)text, sizeof text - 1,
		key, SEAL_KEY_BYTES);
	memcpy(seal->fingerprint, hash, sizeof seal->fingerprint);
}

/* Stored answers are sealed often and with another cipher, so they have a key of their own. */
static void derive_key(struct seal *seal, const unsigned char key[SEAL_KEY_BYTES])
{
	static const char text[] = "pierre-dbd stored answers";

	(void)crypto_generichash(seal->derived, SEAL_KEY_BYTES, (const unsigned char *)text,
		sizeof text - 1, key, SEAL_KEY_BYTES);
	sodium_mprotect_readonly(seal->derived);
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
			"this machine's CPU has no AES instructions (AES-NI and PCLMUL), which "
			"the token format requires");
		goto fail;
	}
	seal = calloc(1, sizeof *seal);
	if (seal != NULL) {
		atomic_init(&seal->holders, 1);
		seal->state = sodium_malloc(sizeof *seal->state);
		seal->derived = sodium_malloc(SEAL_KEY_BYTES);
	}
	if (seal == NULL || seal->state == NULL || seal->derived == NULL) {
		err_exit(err, EX_OSERR, "no memory for the encryption key");
		goto fail;
	}
	/* sodium_malloc succeeds even when its mlock fails, so lock again and check. */
	seal->locked = sodium_mlock(seal->state, sizeof *seal->state) == 0 &&
		sodium_mlock(seal->derived, SEAL_KEY_BYTES) == 0;
	if (!seal->locked && must_lock) {
		err_exit(err, EX_CONFIG,
			"the encryption key cannot be locked in memory (%s): raise the limit on "
			"locked memory (ulimit -l, "
			"LimitMEMLOCK=)",
			strerror(errno));
		goto fail;
	}
	crypto_aead_aes256gcm_beforenm(seal->state, key);
	make_fingerprint(seal, key);
	derive_key(seal, key);
	sodium_memzero(key, SEAL_KEY_BYTES);
	sodium_mprotect_readonly(seal->state);
	*ret = seal;
	return 0;
fail:
	sodium_memzero(key, SEAL_KEY_BYTES);
	seal_free(seal);
	return -1;
}

struct seal *seal_hold(struct seal *seal)
{
	atomic_fetch_add(&seal->holders, 1);
	return seal;
}

void seal_free(struct seal *seal)
{
	if (seal == NULL || atomic_fetch_sub(&seal->holders, 1) > 1)
		return;
	seal_free(seal->previous);
	sodium_free(seal->state); /* wipes */
	sodium_free(seal->derived);
	free(seal);
}

int seal_add_previous(struct seal *seal, struct seal *previous, struct err *err)
{
	if (memcmp(seal->fingerprint, previous->fingerprint, sizeof seal->fingerprint) == 0) {
		seal_free(previous);
		return err_exit(err, EX_CONFIG,
			"the previous encryption key is the same as the encryption key: set the "
			"one used "
			"before, or none");
	}
	seal->previous = previous;
	return 0;
}

const struct seal *seal_previous(const struct seal *seal)
{
	return seal->previous;
}

const unsigned char *seal_derived(const struct seal *seal)
{
	return seal->derived;
}

const unsigned char *seal_mark(const struct seal *seal)
{
	return seal->fingerprint;
}

enum binding_format seal_format(const struct seal *seal)
{
	return (enum binding_format)atomic_load_explicit(&seal->format, memory_order_relaxed);
}

void seal_set_format(struct seal *seal, enum binding_format format, bool at_once)
{
	if (seal_format(seal) == format)
		return;
	atomic_store(&seal->old_until, at_once ? 0 : clock_ns() + reads_last_ns);
	atomic_store(&seal->format, (int)format);
}

static bool old_format_opens(const struct seal *seal)
{
	return seal_format(seal) != BINDING_ALL || clock_ns() < atomic_load(&seal->old_until);
}

void seal_encrypt(const struct seal *seal, const unsigned char nonce[SEAL_NONCE_BYTES],
	const void *plain, size_t length, const void *ad, size_t ad_length, unsigned char *out)
{
	unsigned long long got = 0;
	int failed = crypto_aead_aes256gcm_encrypt_afternm(
		out, &got, plain, length, ad, ad_length, NULL, nonce, seal->state);

	assert(failed == 0 && got == length + SEAL_TAG_BYTES);
	(void)failed;
}

bool seal_decrypt(const struct seal *seal, const unsigned char nonce[SEAL_NONCE_BYTES],
	const void *sealed, size_t length, const void *ad, size_t ad_length, unsigned char *out)
{
	unsigned long long got = 0;

	return length >= SEAL_TAG_BYTES &&
		crypto_aead_aes256gcm_decrypt_afternm(
			out, &got, NULL, sealed, length, ad, ad_length, nonce, seal->state) == 0;
}

/* A text of a token in the clear, and what it is bound to. */
struct plain_text {
	const char *text, *data;
	size_t length, data_length; /* data_length 0: it is not bound */
};

/* Seals one text as base64 in the arena. NULL when out of memory. */
static char *seal_text(struct seal *seal, struct arena *arena, const unsigned char *nonce,
	const struct plain_text *plain, size_t *out_length)
{
	size_t sealed_length = plain->length + SEAL_TAG_BYTES,
	       mark = plain->data_length > 0 ? BINDING_MARK_LENGTH : 0;
	unsigned char *sealed = arena_alloc(arena, sealed_length);
	char *text = arena_alloc(arena, mark + BASE64_LENGTH(sealed_length) + 1);

	if (sealed == NULL || text == NULL)
		return NULL;
	seal_encrypt(
		seal, nonce, plain->text, plain->length, plain->data, plain->data_length, sealed);
	memcpy(text, BINDING_MARK, mark);
	base64_encode(sealed, sealed_length, text + mark);
	*out_length = mark + BASE64_LENGTH(sealed_length);
	atomic_fetch_add_explicit(&seal->sealed, 1, memory_order_relaxed);
	return text;
}

/* Seals a token's texts, each under its own nonce. -1: out of memory, or an impossible owner. */
static int seal_texts(struct seal *seal, struct binding_owner *owner, struct arena *arena,
	struct plain_text plain[2], const unsigned char *nonces, const char *out[3],
	size_t out_length[3], struct err *err)
{
	bool binds = seal_format(seal) != BINDING_NONE;

	if (binds && owner->length == 0)
		return err_set(err, ERR_INTERNAL, "a token has no user");
	for (int part = 0; part < 2; part++) {
		plain[part].data = binding_data(owner, part);
		plain[part].data_length = binds ? owner->length : 0;
		out[part] = seal_text(seal, arena, nonces + (size_t)part * SEAL_NONCE_BYTES,
			&plain[part], &out_length[part]);
		if (out[part] == NULL)
			return err_set(err, ERR_INTERNAL, "out of memory");
	}
	return 0;
}

static bool take_nonces(struct seal *seal, uint64_t count)
{
	uint64_t used = atomic_fetch_add_explicit(&seal->used, count, memory_order_relaxed);

	if (used + count <= SEAL_LIMIT)
		return true;
	atomic_fetch_sub_explicit(&seal->used, count, memory_order_relaxed);
	return false;
}

int seal_token(struct seal *seal, struct binding_owner *owner, struct arena *arena,
	const char *access, size_t access_length, const char *refresh, size_t refresh_length,
	const char *out[3], size_t out_length[3], struct err *err)
{
	struct plain_text plain[2];
	unsigned char nonces[2 * SEAL_NONCE_BYTES];
	char *nonce_text = arena_alloc(arena, SEAL_NONCE_TEXT + 1);

	if (!take_nonces(seal, 2))
		return err_set(err, ERR_STORAGE,
			"the encryption key has sealed 2^32 texts, the safe limit: it "
			"must be changed "
			"(pierre-dbctl rotate-key)");
	randombytes_buf(nonces, sizeof nonces);
	plain[0].text = access;
	plain[0].length = access_length;
	plain[1].text = refresh;
	plain[1].length = refresh_length;
	if (seal_texts(seal, owner, arena, plain, nonces, out, out_length, err) < 0)
		return -1;
	if (nonce_text == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	base64_encode(nonces, sizeof nonces, nonce_text);
	out[2] = nonce_text;
	out_length[2] = SEAL_NONCE_TEXT;
	return 0;
}

/* Decodes strict standard base64 of `length` characters into the arena; NULL when invalid or out of
 * memory. */
static unsigned char *decode_base64(
	struct arena *arena, const char *text, size_t length, size_t *out_length)
{
	unsigned char *bytes = arena_alloc(arena, length / 4 * 3 + 1);

	return bytes != NULL && base64_decode(text, length, bytes, out_length) ? bytes : NULL;
}

static const char refusal[] =
	"the stored token cannot be opened: it was sealed with another key, altered or moved";

/* A stored text, the nonces beside it, and whose it must be. */
struct sealed_text {
	const char *text, *nonces;
	size_t length, nonces_length;
	struct binding_owner *owner;
	int part; /* 0 access, 1 refresh */
};

/* How a text was opened: by which key, and whether it is bound. */
struct opening {
	const struct seal *key;
	bool bound;
};

/* Opens a text by the current key, otherwise by the previous one; sets *how. 1: neither opens
 * it. */
static int open_bytes(struct seal *seal, struct arena *arena, const struct sealed_text *stored,
	const unsigned char *nonce, const unsigned char *bytes, size_t size, struct opening *how,
	const char **plain, size_t *plain_length, struct err *err)
{
	unsigned char *out = arena_alloc(arena, size);
	const char *data = binding_data(stored->owner, stored->part);
	size_t data_length = how->bound ? stored->owner->length : 0;

	if (out == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if (how->bound && data_length == 0)
		return 1;
	how->key = seal;
	while (how->key != NULL &&
		!seal_decrypt(how->key, nonce, bytes, size, data, data_length, out))
		how->key = how->key->previous;
	*plain_length = size - SEAL_TAG_BYTES;
	if (how->key == NULL || !utf8_valid((const char *)out, *plain_length))
		return 1;
	out[*plain_length] = '\0'; /* overwrites the tag's space */
	*plain = (const char *)out;
	return 0;
}

/* The same from the stored texts. */
static int open_stored(struct seal *seal, struct arena *arena, const struct sealed_text *stored,
	struct opening *how, const char **plain, size_t *plain_length, struct err *err)
{
	size_t nonces_size = 0, bytes_size = 0, mark;
	unsigned char *nonces =
		decode_base64(arena, stored->nonces, stored->nonces_length, &nonces_size);
	unsigned char *bytes;

	how->bound = binding_marked(stored->text, stored->length);
	if (!how->bound && !old_format_opens(seal))
		return 1;
	mark = how->bound ? BINDING_MARK_LENGTH : 0;
	bytes = decode_base64(arena, stored->text + mark, stored->length - mark, &bytes_size);
	if (nonces == NULL || nonces_size != (size_t)2 * SEAL_NONCE_BYTES || bytes == NULL ||
		bytes_size < SEAL_TAG_BYTES)
		return 1;
	return open_bytes(seal, arena, stored, nonces + (size_t)stored->part * SEAL_NONCE_BYTES,
		bytes, bytes_size, how, plain, plain_length, err);
}

int seal_open(struct seal *seal, struct binding_owner *owner, struct arena *arena,
	const char *sealed, size_t length, const char *nonce, size_t nonce_length, int part,
	const char **plain, size_t *plain_length, struct err *err)
{
	const struct sealed_text stored = {sealed, nonce, length, nonce_length, owner, part};
	struct opening how;
	int result = open_stored(seal, arena, &stored, &how, plain, plain_length, err);

	/* One message for every cause: details would only help the author of a forgery. */
	if (result > 0)
		return err_set(err, ERR_DECRYPTION_FAILED, "%s", refusal);
	if (result == 0)
		atomic_fetch_add_explicit(&seal->opened, 1, memory_order_relaxed);
	return result;
}

int seal_again(struct seal *seal, struct binding_owner *owner, struct arena *arena,
	const char *const stored[3], const size_t length[3], enum seal_fit *fit, const char *out[3],
	size_t out_length[3], struct err *err)
{
	bool binds = seal_format(seal) != BINDING_NONE, current = true;
	const char *plain[2];
	size_t plain_length[2];

	for (int part = 0; part < 2; part++) {
		const struct sealed_text text = {
			stored[part], stored[2], length[part], length[2], owner, part};
		struct opening how;
		int result = open_stored(
			seal, arena, &text, &how, &plain[part], &plain_length[part], err);

		*fit = SEAL_NEITHER;
		if (result != 0)
			return result < 0 ? -1 : 0;
		current = current && how.key == seal && (how.bound || !binds);
	}
	*fit = current ? SEAL_CURRENT : SEAL_OLDER;
	if (current)
		return 0;
	return seal_token(seal, owner, arena, plain[0], plain_length[0], plain[1], plain_length[1],
		out, out_length, err);
}

int seal_check_make(const struct seal *seal, char out[128])
{
	unsigned char nonce[SEAL_NONCE_BYTES], sealed[sizeof check_text - 1 + SEAL_TAG_BYTES];

	randombytes_buf(nonce, sizeof nonce);
	seal_encrypt(seal, nonce, check_text, sizeof check_text - 1, NULL, 0, sealed);
	sodium_bin2base64(out, 128, nonce, sizeof nonce, sodium_base64_VARIANT_ORIGINAL);
	size_t used = strlen(out);
	out[used++] = ':';
	sodium_bin2base64(
		out + used, 128 - used, sealed, sizeof sealed, sodium_base64_VARIANT_ORIGINAL);
	return 0;
}

bool seal_check_matches(const struct seal *seal, const char *text, size_t length)
{
	unsigned char nonce[SEAL_NONCE_BYTES], sealed[128], plain[128];
	const char *colon = memchr(text, ':', length);
	size_t nonce_length = 0, sealed_length = 0;

	if (colon == NULL)
		return false;
	if (!seal_key_decode(nonce, sizeof nonce, text, (size_t)(colon - text), &nonce_length) ||
		!seal_key_decode(sealed, sizeof sealed, colon + 1,
			length - (size_t)(colon + 1 - text), &sealed_length))
		return false;
	return nonce_length == sizeof nonce &&
		sealed_length == sizeof check_text - 1 + SEAL_TAG_BYTES &&
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

void seal_count_start(struct seal *seal, uint64_t stored)
{
	atomic_store(&seal->used, stored);
	atomic_store(&seal->reserved, stored);
}

uint64_t seal_count_wanted(struct seal *seal)
{
	uint64_t sealed = atomic_load_explicit(&seal->sealed, memory_order_relaxed),
		 used = atomic_load_explicit(&seal->used, memory_order_relaxed);
	uint64_t reserved = atomic_load_explicit(&seal->reserved, memory_order_relaxed);
	uint64_t block = sealed < BLOCK_MIN ? BLOCK_MIN : sealed > BLOCK_MAX ? BLOCK_MAX : sealed;

	if (sealed == 0 || reserved >= used + block / 2 || atomic_exchange(&seal->reserving, true))
		return 0;
	return block + (used > reserved ? used - reserved : 0);
}

void seal_count_stored(struct seal *seal, uint64_t added, uint64_t stored)
{
	uint64_t reserved = atomic_load(&seal->reserved);

	/* An excess over the known and added number comes from other daemons; it precedes this
	 * one's block. */
	if (stored > reserved + added)
		atomic_fetch_add(&seal->used, stored - added - reserved);
	else
		stored = reserved + added;
	atomic_store(&seal->reserved, stored);
	atomic_store(&seal->reserving, false);
}

void seal_count_failed(struct seal *seal)
{
	atomic_store(&seal->reserving, false);
}

uint64_t seal_count_total(const struct seal *seal)
{
	return atomic_load_explicit(&seal->used, memory_order_relaxed);
}

void seal_count_name(const struct seal *seal, char out[SEAL_COUNT_NAME])
{
	memcpy(out, "sealed:", 7);
	seal_fingerprint(seal, out + 7);
}
