#include "binding.h"

#include <sodium.h>
#include <string.h>

#include "../../protocol/value.h"

/* PROVIDER_MAX: the generator's limit of a name. */
enum { MARK_LENGTH = sizeof BINDING_HASH_MARK - 1, PROVIDER_MAX = 64 };

_Static_assert(PROVIDER_MAX + 3 + UUID_TEXT <= BINDING_DATA_MAX, "associated data");
_Static_assert(crypto_hash_sha256_BYTES * 2 == BINDING_HASH_LENGTH - MARK_LENGTH, "hash size");

static void set_provider(struct binding_owner *owner, const char *provider, size_t length)
{
	memcpy(owner->data, provider, length);
	memcpy(owner->data + length, " a ", 3);
	owner->letter = length + 1;
	owner->length = length + 3;
}

static void set_user(struct binding_owner *owner, const char *user, size_t length, bool canonical)
{
	char *place = owner->data + owner->length;

	if (canonical) {
		memcpy(place, user, UUID_TEXT);
		owner->length += UUID_TEXT;
	} else if (uuid_parse(user, length, place)) {
		owner->length += UUID_TEXT;
	} else if (length <= BINDING_DATA_MAX - owner->length) {
		memcpy(place, user, length);
		owner->length += length;
	} else {
		owner->length = 0;
	}
}

void binding_own(struct binding_owner *owner, const char *provider, const char *user,
	size_t user_length, bool canonical)
{
	set_provider(owner, provider, strlen(provider));
	set_user(owner, user, user_length, canonical);
}

void binding_own_call(
	struct binding_owner *owner, const struct method *method, const struct value *values)
{
	const struct value *user = &values[method->token_user_bind];

	if (method->token_provider != NULL) {
		set_provider(owner, method->token_provider, strlen(method->token_provider));
	} else {
		const struct value *provider = &values[method->token_provider_bind];

		set_provider(owner, provider->s.ptr, provider->s.len);
	}
	set_user(owner, user->s.ptr, user->s.len, true);
}

bool binding_marked(const char *sealed, size_t length)
{
	return length >= BINDING_MARK_LENGTH &&
		memcmp(sealed, BINDING_MARK, BINDING_MARK_LENGTH) == 0;
}

void binding_hash(const char *token, size_t length, char out[BINDING_HASH_LENGTH + 1])
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256(hash, (const unsigned char *)token, length);
	memcpy(out, BINDING_HASH_MARK, MARK_LENGTH);
	(void)sodium_bin2hex(
		out + MARK_LENGTH, BINDING_HASH_LENGTH + 1 - MARK_LENGTH, hash, sizeof hash);
}

bool binding_is_hash(const char *text, size_t length)
{
	if (length != BINDING_HASH_LENGTH || memcmp(text, BINDING_HASH_MARK, MARK_LENGTH) != 0)
		return false;
	for (size_t i = MARK_LENGTH; i < length; i++)
		if ((text[i] < '0' || text[i] > '9') && (text[i] < 'a' || text[i] > 'f'))
			return false;
	return true;
}

static const char *const format_names[] = {"unbound", "binding", "bound"};

const char *binding_name(enum binding_format format)
{
	return format_names[format];
}

enum binding_format binding_named(const char *name)
{
	enum binding_format format = BINDING_ALL;

	while (format != BINDING_NONE && (name == NULL || strcmp(name, format_names[format]) != 0))
		format--;
	return format;
}
