/* bcrypt through crypt_r. Blocking (a quarter of a second at cost 12): the daemon calls these on threads of their own. */
#ifndef PIERRE_PASSWORD_H
#define PIERRE_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "../protocol/error.h"

enum { PASSWORD_MAX = 72, PASSWORD_HASH_MAX = 64 };

/* `$2b$<cost>$…`; password NUL-terminated. */
int password_hash(const char *password, unsigned cost, char out[PASSWORD_HASH_MAX], struct err *err);
/* hash NULL (no such user) or unusable: does the work of one verification at `cost` all the same and gives false. Constant-time compare. Takes $2a$ $2b$ $2y$. */
bool password_verify(const char *password, const char *hash, unsigned cost);

#endif
