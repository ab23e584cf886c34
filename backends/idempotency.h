/* Idempotency keys: what is stored with a write that was carried out, and how it is read back when
 * the key comes again.
 *
 * A stored answer is sealed, because it may be a secret (a session's token). So is the digest of
 * the parameters: without a key, a password could be guessed from it. Both use a key that follows
 * from the token key. Thread: the one that holds the call. */
#ifndef PIERRE_IDEMPOTENCY_H
#define PIERRE_IDEMPOTENCY_H

#include "call.h"
#include "secrets/seal.h"

enum {
	IDEMPOTENCY_KEY_MAX = 64, /* bytes */
	IDEMPOTENCY_HOURS = 24,   /* how long a key is known */
	IDEMPOTENCY_PARAMS = 32,
	IDEMPOTENCY_DIGEST = 44 /* characters of a stored digest */
};

/* What is stored: texts in the call's arena. The method's name is stored beside them. */
struct idempotency_row {
	const char *digest; /* IDEMPOTENCY_DIGEST characters */
	const char *answer; /* NULL: the answer is null */
	size_t answer_length;
};

struct idempotency {
	uint32_t uid; /* the peer's user: a key is known to its user alone */
	uint8_t length;
	/* PostgreSQL: */
	bool look;     /* the database may hold the key: it is looked up before the call runs */
	bool known;    /* the database holds the key: the call's own statement does not run */
	bool refused;  /* it was refused once: another run with the key may have caused that */
	bool doubtful; /* an attempt may have been committed */
	struct idempotency_row row; /* made before the call runs; digest NULL: not yet */
	char key[IDEMPOTENCY_KEY_MAX];
	unsigned char params[IDEMPOTENCY_PARAMS]; /* digest of the parameters */
};

/* Makes the row of a call that has its answer. On failure call->err is set. */
int idempotency_make(struct call *call, const struct seal *seal, struct idempotency_row *row);

/* A text of a stored row. ptr NULL: NULL. */
struct idempotency_text {
	const char *ptr;
	size_t length;
};

/* Replaces what the call has by the stored answer, or by the error for a key that was used for
 * another call. */
int idempotency_replay(struct call *call, const struct seal *seal, struct idempotency_text method,
	struct idempotency_text digest, struct idempotency_text answer);

#endif
