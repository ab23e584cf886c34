/* The token key and the database: key check, count of sealed texts, key rotation. Thread: the one
 * that uses the connection. */
#ifndef PIERRE_SQLITE_KEYS_H
#define PIERRE_SQLITE_KEYS_H

#include "../secrets/rotation.h"
#include "session.h"

/* Read only: whether the keys open the stored tokens. exit_code 77 if not. */
int keys_prove(struct session *session, struct err *err);
/* Stores missing check values, and reads how many texts the key has sealed. */
int keys_begin(struct session *session, struct err *err);
/* Within the writer's transaction, before its commit: stores the count of sealed texts. Returns the
 * number for seal_count_stored, 0: none. */
uint64_t keys_count(struct session *session, uint64_t *stored);
/* Calls `each` for every stored token. `each` returns 0 to continue, or sets err. */
int keys_each_token(struct session *session,
	int (*each)(void *argument, const struct rotation_token *token), void *argument,
	struct err *err);
/* The format of the stored tokens, as the database says. */
int keys_read_format(struct session *session, enum binding_format *format, struct err *err);
int keys_write_format(struct session *session, enum binding_format format); /* a result code */
/* One step of rotating the key, or of binding the tokens, within the caller's transaction. `bind`
 * begins the latter. *format: the format when it commits. */
int keys_step(struct session *session, struct rotation *next, bool bind,
	enum binding_format *format, struct err *err);

#endif
