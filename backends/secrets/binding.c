#include "binding.h"

#include <sodium.h>
#include <string.h>

#include "../../protocol/value.h"

enum { MARK_LENGTH = sizeof BINDING_HASH_MARK - 1 };

_Static_assert(crypto_hash_sha256_BYTES * 2 == BINDING_HASH_LENGTH - MARK_LENGTH, "hash size");

struct binding_owner binding_owner_of(const struct method *method, const struct value *values)
{
	struct binding_owner owner = {.provider = method->token_provider};

	if (method->token_user_bind >= 0) {
		owner.user = values[method->token_user_bind].s.ptr;
		owner.user_length = values[method->token_user_bind].s.len;
		owner.canonical = true;
	}
	if (owner.provider != NULL) {
		owner.provider_length = strlen(owner.provider);
	} else if (method->token_provider_bind >= 0) {
		owner.provider = values[method->token_provider_bind].s.ptr;
		owner.provider_length = values[method->token_provider_bind].s.len;
	}
	return owner;
}

size_t binding_data(const struct binding_owner *owner, int part, char out[BINDING_DATA_MAX])
{
	static const char columns[2][16] = {"_access_token ", "_refresh_token "};
	size_t column = strlen(columns[part]), length = owner->provider_length;

	if (length + column + owner->user_length > BINDING_DATA_MAX)
		return 0;
	memcpy(out, owner->provider, length);
	memcpy(out + length, columns[part], column);
	length += column;
	/* An id has one form here, however a row or a caller writes it. */
	if (!owner->canonical && owner->user_length <= UUID_TEXT &&
		length + UUID_TEXT <= BINDING_DATA_MAX &&
		uuid_parse(owner->user, owner->user_length, out + length))
		return length + UUID_TEXT;
	memcpy(out + length, owner->user, owner->user_length);
	return length + owner->user_length;
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
