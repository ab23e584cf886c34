/* bcrypt through crypt_r. Blocking (a quarter of a second at cost 12): the daemon calls these on threads of their own. */
#ifndef PIERRE_PASSWORD_H
#define PIERRE_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "../protocol/error.h"

/* Each step of the cost doubles the work: cost 20 takes a minute, 31 a day and a half, which nobody waits for. */
enum { PASSWORD_MAX = 72, PASSWORD_HASH_MAX = 64, PASSWORD_COST_MIN = 4, PASSWORD_COST_MAX = 20 };

/* `$2b$<cost>$…`; password NUL-terminated. */
int password_hash(const char *password, unsigned cost, char out[PASSWORD_HASH_MAX], struct err *err);
/* Takes $2a$ $2b$ $2y$. hash NULL (no such user) or no bcrypt hash: does the work of one verification at `cost` all the same, and nothing
 * matches. ERR_TIMEOUT for a hash over PASSWORD_COST_MAX. Constant-time compare. */
int password_verify(const char *password, const char *hash, unsigned cost, bool *matches, struct err *err);

#endif
