/* A digest is 32 bytes: the mark of the key that made it, and a keyed hash of the call. The mark
 * tells another call from one whose digest was made with a key that the daemon no longer has: that
 * one is answered by its key and method alone. */
#include "idempotency.h"

#include <sodium.h>
#include <string.h>

#include "execute.h"
#include "secrets/base64.h"
#include "transaction.h"

enum {
	NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	DIGEST_BYTES = 32,
	HASH_BYTES = DIGEST_BYTES - SEAL_MARK_BYTES
};

_Static_assert(BASE64_LENGTH(DIGEST_BYTES) == IDEMPOTENCY_DIGEST, "length of a stored digest");
_Static_assert(SEAL_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "size of the key");

static int idempotency_no_memory(struct call *call)
{
	return execute_fail(call, ERR_INTERNAL, "out of memory; nothing of the call was stored");
}

static void make_digest(
	const struct call *call, const struct seal *seal, unsigned char out[DIGEST_BYTES])
{
	const struct idempotency *key = call->idempotency;
	crypto_generichash_state state;

	memcpy(out, seal_mark(seal), SEAL_MARK_BYTES);
	(void)crypto_generichash_init(&state, seal_derived(seal), SEAL_KEY_BYTES, HASH_BYTES);
	(void)crypto_generichash_update(&state, key->params, sizeof key->params);
	(void)crypto_generichash_update(&state, (const unsigned char *)&key->uid, sizeof key->uid);
	(void)crypto_generichash_update(&state, &key->length, sizeof key->length);
	(void)crypto_generichash_update(&state, (const unsigned char *)key->key, key->length);
	(void)crypto_generichash_update(
		&state, (const unsigned char *)call->method->name, call->method->name_length);
	(void)crypto_generichash_final(&state, out + SEAL_MARK_BYTES, HASH_BYTES);
}

/* The digest is the additional data: a sealed answer opens in its own row alone. */
static int seal_answer(struct call *call, const struct seal *seal,
	const unsigned char digest[DIGEST_BYTES], struct idempotency_row *row)
{
	const char *plain = call->answer.data + call->answer_start;
	size_t length = call->answer.length - call->answer_start, size;
	unsigned char *sealed;
	char *text;

	if (transaction_is(call))
		plain = transaction_save(call, &length);
	if (plain == NULL)
		return -1;
	size = NONCE + length + TAG;
	sealed = arena_alloc(&call->arena, size);
	text = arena_alloc(&call->arena, BASE64_LENGTH(size) + 1);
	if (sealed == NULL || text == NULL)
		return idempotency_no_memory(call);
	randombytes_buf(sealed, NONCE);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + NONCE, NULL,
		(const unsigned char *)plain, length, digest, DIGEST_BYTES, NULL, sealed,
		seal_derived(seal));
	base64_encode(sealed, size, text);
	row->answer = text;
	row->answer_length = BASE64_LENGTH(size);
	return 0;
}

int idempotency_make(struct call *call, const struct seal *seal, struct idempotency_row *row)
{
	unsigned char digest[DIGEST_BYTES];
	char *text = arena_alloc(&call->arena, IDEMPOTENCY_DIGEST + 1);

	if (text == NULL)
		return idempotency_no_memory(call);
	make_digest(call, seal, digest);
	base64_encode(digest, sizeof digest, text);
	*row = (struct idempotency_row){.digest = text};
	if (call->answer.length - call->answer_start == 4 &&
		memcmp(call->answer.data + call->answer_start, "null", 4) == 0)
		return 0;
	return seal_answer(call, seal, digest, row);
}

/* Whether the stored row is this call's. */
static bool same_call(const struct call *call, const struct seal *seal,
	const struct idempotency_text *method, const unsigned char stored[DIGEST_BYTES])
{
	unsigned char own[DIGEST_BYTES];

	if (method->length != call->method->name_length ||
		memcmp(method->ptr, call->method->name, method->length) != 0)
		return false;
	for (; seal != NULL; seal = seal_previous(seal)) {
		if (memcmp(seal_mark(seal), stored, SEAL_MARK_BYTES) != 0)
			continue;
		make_digest(call, seal, own);
		return sodium_memcmp(own, stored, DIGEST_BYTES) == 0;
	}
	return true;
}

static int open_answer(struct call *call, const struct seal *seal,
	const unsigned char digest[DIGEST_BYTES], struct idempotency_text answer)
{
	unsigned char *sealed = arena_alloc(&call->arena, answer.length / 4 * 3 + 1);
	unsigned char *plain = arena_alloc(&call->arena, answer.length / 4 * 3 + 1);
	size_t size = 0;

	if (sealed == NULL || plain == NULL)
		return idempotency_no_memory(call);
	if (!base64_decode(answer.ptr, answer.length, sealed, &size) || size < NONCE + TAG)
		seal = NULL;
	for (; seal != NULL; seal = seal_previous(seal))
		if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed + NONCE,
			    size - NONCE, digest, DIGEST_BYTES, sealed, seal_derived(seal)) == 0) {
			if (transaction_is(call))
				return transaction_restore(
					call, (const char *)plain, size - NONCE - TAG);
			buffer_append(&call->answer, (const char *)plain, size - NONCE - TAG);
			return 0;
		}
	return execute_fail(call, ERR_DECRYPTION_FAILED,
		"the stored answer of this idempotency key cannot be opened: it was sealed with "
		"another key or altered");
}

int idempotency_replay(struct call *call, const struct seal *seal, struct idempotency_text method,
	struct idempotency_text digest, struct idempotency_text answer)
{
	unsigned char stored[DIGEST_BYTES + 3];
	size_t size = 0;

	execute_restart(call);
	if (digest.length != IDEMPOTENCY_DIGEST ||
		!base64_decode(digest.ptr, digest.length, stored, &size) || size != DIGEST_BYTES)
		return execute_fail(
			call, ERR_STORAGE, "the stored digest of an idempotency key is invalid");
	if (!same_call(call, seal, &method, stored))
		return execute_fail(call, ERR_INVALID_REQUEST,
			"this idempotency key was used for another method or other params");
	if (answer.ptr != NULL)
		return open_answer(call, seal, stored, answer);
	buffer_text(&call->answer, "null");
	return 0;
}
