/* `pierre-dbd --verify`: checks a database without changing it; `--restore`: replaces it by a
 * backup. Thread: main. */
#ifndef PIERRE_DAEMON_VERIFY_H
#define PIERRE_DAEMON_VERIFY_H

#include "../../backends/secrets/seal.h"

/* Prints what it finds; 0 when all is sound, 65 when not, 77 when the key does not fit. -1: it
 * cannot be looked at. */
int verify_database(const char *url, struct seal *seal, bool json, struct err *err);
/* Prints what it did, and gives 0. -1: nothing was changed, or what was begun is finished by the
 * next start. */
int verify_restore(
	const char *url, const char *file, struct seal *seal, bool json, struct err *err);

#endif
