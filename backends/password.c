#include "password.h"

#include <crypt.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { BCRYPT_HASH_LENGTH = 60 };

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

static bool is_bcrypt(const char *hash)
{
	return strlen(hash) == BCRYPT_HASH_LENGTH && strncmp(hash, "$2", 2) == 0 && strchr("aby", hash[2]) != NULL &&
	       hash[3] == '$';
}

bool password_verify(const char *password, const char *hash, unsigned cost)
{
	char setting[PASSWORD_HASH_MAX], got[PASSWORD_HASH_MAX];

	if (hash == NULL || !is_bcrypt(hash) || strlen(password) > PASSWORD_MAX) {
		/* An unknown user must cost what a known one costs, so that the time tells nothing. The same for a password that
		 * bcrypt would cut: it is longer than any that was ever taken. */
		if (make_setting(cost, setting))
			(void)bcrypt(password, setting, got);
		return false;
	}
	return bcrypt(password, hash, got) && sodium_memcmp(got, hash, BCRYPT_HASH_LENGTH) == 0;
}
