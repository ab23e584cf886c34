#include "password.h"

#include <crypt.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BCRYPT_HASH_LENGTH = 60, BCRYPT_COST_MAX = 31 };

/* Runs bcrypt once, in scratch memory that is wiped before it is freed: crypt_data keeps the
 * password's key schedule. */
static bool bcrypt(
	const char *password, const char *setting, char out[PASSWORD_HASH_MAX], uint64_t *rounds)
{
	struct crypt_data *data = calloc(1, sizeof *data);
	const char *hash;
	bool ok;

	if (data == NULL)
		return false;
	hash = crypt_r(password, setting, data);
	ok = hash != NULL && hash[0] != '*' && strlen(hash) == BCRYPT_HASH_LENGTH;
	if (ok) {
		memcpy(out, hash, BCRYPT_HASH_LENGTH + 1);
		*rounds += UINT64_C(1) << password_cost_of(hash, BCRYPT_HASH_LENGTH);
	}
	sodium_memzero(data, sizeof *data);
	free(data);
	return ok;
}

/* A setting with a fresh random salt. */
static bool make_setting(unsigned cost, char out[PASSWORD_HASH_MAX])
{
	char salt[16];

	randombytes_buf(salt, sizeof salt);
	return crypt_gensalt_rn("$2b$", cost, salt, (int)sizeof salt, out, PASSWORD_HASH_MAX) !=
		NULL;
}

int password_hash(const char *password, unsigned cost, char out[PASSWORD_HASH_MAX],
	uint64_t *rounds, struct err *err)
{
	char setting[PASSWORD_HASH_MAX];

	if (!make_setting(cost, setting) || !bcrypt(password, setting, out, rounds))
		return err_set(err, ERR_INTERNAL, "the password could not be hashed");
	return 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

unsigned password_cost_of(const char *hash, size_t length)
{
	static const char digits[] =
		"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	unsigned cost;

	if (length != BCRYPT_HASH_LENGTH || memcmp(hash, "$2", 2) != 0 ||
		memchr("aby", hash[2], 3) == NULL || hash[3] != '$' || !is_digit(hash[4]) ||
		!is_digit(hash[5]) || hash[6] != '$')
		return 0;
	for (size_t i = 7; i < length; i++)
		if (memchr(digits, hash[i], sizeof digits - 1) == NULL)
			return 0;
	cost = (unsigned)(hash[4] - '0') * 10 + (unsigned)(hash[5] - '0');
	return cost >= PASSWORD_COST_MIN && cost <= BCRYPT_COST_MAX ? cost : 0;
}

/* 2^from + 2^(from + 1) + … + 2^(to - 1) = 2^to - 2^from rounds. */
static bool pad(const char *password, unsigned from, unsigned to, uint64_t *rounds)
{
	char setting[PASSWORD_HASH_MAX], ignored[PASSWORD_HASH_MAX];

	for (unsigned cost = from; cost < to; cost++)
		if (!make_setting(cost, setting) || !bcrypt(password, setting, ignored, rounds))
			return false;
	return true;
}

int password_verify(const char *password, const char *hash, unsigned cost, bool *matches,
	uint64_t *rounds, struct err *err)
{
	char setting[PASSWORD_HASH_MAX], got[PASSWORD_HASH_MAX], cut[PASSWORD_MAX + 1];
	size_t length = strnlen(password, PASSWORD_MAX);
	unsigned stored = hash != NULL ? password_cost_of(hash, strlen(hash)) : 0;
	bool possible = stored != 0 && stored <= cost, done;

	*matches = false;
	memcpy(cut, password, length);
	cut[length] = '\0';
	if (possible)
		done = bcrypt(cut, hash, got, rounds) && pad(cut, stored, cost, rounds);
	else
		done = make_setting(cost, setting) && bcrypt(cut, setting, got, rounds);
	sodium_memzero(cut, sizeof cut);
	if (!done)
		return err_set(err, ERR_INTERNAL, "the password could not be checked");
	*matches = possible && sodium_memcmp(got, hash, BCRYPT_HASH_LENGTH) == 0;
	return 0;
}
