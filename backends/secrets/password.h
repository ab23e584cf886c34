/* bcrypt by crypt_r. Blocking (a quarter of a second at cost 12): the daemon calls these on
 * separate threads. */
#ifndef PIERRE_PASSWORD_H
#define PIERRE_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../protocol/error.h"

/* Each step of the cost doubles the work: cost 20 takes a minute, 31 a day and a half. */
enum { PASSWORD_MAX = 72, PASSWORD_HASH_MAX = 64, PASSWORD_COST_MIN = 4, PASSWORD_COST_MAX = 20 };

/* `$2b$<cost>$…`; password NUL-terminated, at most PASSWORD_MAX bytes. *rounds: 2^cost is added. */
int password_hash(const char *password, unsigned cost, char out[PASSWORD_HASH_MAX],
	uint64_t *rounds, struct err *err);
/* The cost of a bcrypt hash ($2a$, $2b$, $2y$); 0 when the text is not one. */
unsigned password_cost_of(const char *hash, size_t length);
/* Compares in constant time. As in every bcrypt, only the first PASSWORD_MAX bytes of the password
 * count.
 *
 * Each call runs exactly 2^cost rounds. A cheaper hash is padded to that work. A text that is not a
 * bcrypt hash, a hash above `cost` and NULL (no such user) never match, after the same work.
 * *rounds: the rounds run are added. */
int password_verify(const char *password, const char *hash, unsigned cost, bool *matches,
	uint64_t *rounds, struct err *err);

#endif
