/* The token key and the database: key check, count of sealed texts, key rotation. Blocking, as
 * migrate.h. */
#ifndef PIERRE_PG_KEYS_H
#define PIERRE_PG_KEYS_H

#include <libpq-fe.h>
#include <stdint.h>

#include "../../secrets/rotation.h"
#include "../../store.h"

int keys_prove_key(PGconn *pq, struct seal *seal,
	struct err *err); /* and stores the check values; exit_code 77 */
int keys_prove_key_only(PGconn *pq, struct seal *seal, struct err *err);
/* Calls `each` for every stored token, within the caller's transaction. `each` returns 0 to
 * continue, or sets err. */
int keys_postgres_each_token(PGconn *pq,
	int (*each)(void *argument, const struct rotation_token *token), void *argument,
	struct err *err);
int keys_count_seals(
	PGconn *pq, const struct seal *seal, uint64_t added, uint64_t *stored, struct err *err);
/* Begins to bind the tokens; nothing where that has begun. */
int keys_bind(PGconn *pq, struct rotation *rotation, struct err *err);
/* One step of rotating the key, or of binding the tokens. */
int keys_postgres_rotate(const struct store_settings *settings, PGconn *pq,
	struct rotation *rotation, struct err *err);

#endif
