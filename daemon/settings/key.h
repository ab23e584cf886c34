/* Where the token key comes from: ENCRYPTION_KEY, a key file, or systemd's credential. Thread:
 * main. */
#ifndef PIERRE_KEY_H
#define PIERRE_KEY_H

#include "../../backends/secrets/seal.h"
#include "settings.h"

/* Reads the key and wipes the settings' text of it. credentials: $CREDENTIALS_DIRECTORY or NULL.
 * exit_code 78 on failure; messages name the rule that is broken, never the key. */
int key_read(struct settings *settings, const char *credentials, unsigned char key[SEAL_KEY_BYTES],
	struct err *err);
/* The same for the key that was in use before. 1: there is none. */
int key_read_previous(struct settings *settings, const char *credentials,
	unsigned char key[SEAL_KEY_BYTES], struct err *err);
/* Reads both and makes the seal, which is the caller's, also on failure. exit_code 69, 78. */
int key_load(
	struct settings *settings, const char *credentials, struct seal **seal, struct err *err);

#endif
