/* The encryption key as text. */
#ifndef PIERRE_SEAL_KEY_H
#define PIERRE_SEAL_KEY_H

#include "seal.h"

/* Strict standard base64, in a time that does not depend on the characters. */
bool seal_key_decode(
	unsigned char *bytes, size_t size, const char *text, size_t length, size_t *out_length);
/* Decodes 44 characters of standard base64 to 32 bytes. An error message states the rule, never the
 * text. exit_code 78. */
int seal_key_parse(
	const char *text, size_t length, unsigned char key[SEAL_KEY_BYTES], struct err *err);
void seal_key_generate(char out[45]); /* NUL-terminated base64 */

#endif
