/* The format of the tokens in the database, which its sequence token_format holds. Blocking. */
#ifndef PIERRE_PG_FORMAT_H
#define PIERRE_PG_FORMAT_H

#include <libpq-fe.h>
#include <stdint.h>

#include "../../../protocol/error.h"
#include "../../secrets/binding.h"

/* Needs the current schema. exit_code 69 or 78. */
int format_read(PGconn *pq, enum binding_format *format, struct err *err);
int format_set(PGconn *pq, enum binding_format format, struct err *err);
/* Waits for the transactions that may have stored a token before the format changed. Readers do not
 * wait, and writers only while this waits. */
int format_settle(PGconn *pq, const char *table, struct err *err);
/* Replaces some session tokens by their hashes. *found: how many; 0: none is left. */
int format_hash_sessions(PGconn *pq, uint64_t *found, struct err *err);

#endif
