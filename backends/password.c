#include "password.h"

#include <crypt.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BCRYPT_HASH_LENGTH = 60, BCRYPT_COST_MAX = 31 };

/* One bcrypt run into scratch memory that is wiped before it is freed: crypt_data keeps the password's key schedule. */
static bool bcrypt(const char *password, const char *setting, char out[PASSWORD_HASH_MAX])
{
	struct crypt_data *data = calloc(1, sizeof *data);
	const char *hash;
	bool ok;

	if (data == NULL)
		return false;
	hash = crypt_r(password, setting, data);
	ok = hash != NULL && hash[0] != '*' && strlen(hash) == BCRYPT_HASH_LENGTH;
	if (ok)
		memcpy(out, hash, BCRYPT_HASH_LENGTH + 1);
	sodium_memzero(data, sizeof *data);
	free(data);
	return ok;
}

/* A setting with a fresh random salt. */
static bool make_setting(unsigned cost, char out[PASSWORD_HASH_MAX])
{
	char salt[16];

	randombytes_buf(salt, sizeof salt);
	return crypt_gensalt_rn("$2b$", cost, salt, (int)sizeof salt, out, PASSWORD_HASH_MAX) != NULL;
}

int password_hash(const char *password, unsigned cost, char out[PASSWORD_HASH_MAX], struct err *err)
{
	char setting[PASSWORD_HASH_MAX];

	if (!make_setting(cost, setting) || !bcrypt(password, setting, out))
		return err_set(err, ERR_INTERNAL, "the password could not be hashed");
	return 0;
}

/* The cost of a bcrypt hash; 0 when the text is none. */
static unsigned bcrypt_cost(const char *hash)
{
	static const char digits[] = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	unsigned cost;

	if (strlen(hash) != BCRYPT_HASH_LENGTH || strncmp(hash, "$2", 2) != 0 || strchr("aby", hash[2]) == NULL || hash[3] != '$' ||
	    hash[4] < '0' || hash[4] > '9' || hash[5] < '0' || hash[5] > '9' || hash[6] != '$' ||
	    strspn(hash + 7, digits) != BCRYPT_HASH_LENGTH - 7)
		return 0;
	cost = (unsigned)(hash[4] - '0') * 10 + (unsigned)(hash[5] - '0');
	return cost >= PASSWORD_COST_MIN && cost <= BCRYPT_COST_MAX ? cost : 0;
}

int password_verify(const char *password, const char *hash, unsigned cost, bool *matches, struct err *err)
{
	char setting[PASSWORD_HASH_MAX], got[PASSWORD_HASH_MAX];
	unsigned stored = hash != NULL ? bcrypt_cost(hash) : 0;

	*matches = false;
	if (stored > PASSWORD_COST_MAX) {
		(void)err_set(err, ERR_TIMEOUT, "the user's password_hash has the cost %u: a check would take longer than a call may", stored);
		err->outcome = OUTCOME_NONE;
		return -1;
	}
	/* An unknown user must cost what a known one costs, so that the time tells nothing. The same for a password that bcrypt
	 * would cut: it is longer than any that was ever taken. */
	bool possible = stored != 0 && strlen(password) <= PASSWORD_MAX;
	if (!possible && !make_setting(cost, setting))
		return err_set(err, ERR_INTERNAL, "the password could not be checked");
	if (!bcrypt(password, possible ? hash : setting, got))
		return err_set(err, ERR_INTERNAL, "the password could not be checked");
	*matches = possible && sodium_memcmp(got, hash, BCRYPT_HASH_LENGTH) == 0;
	return 0;
}
