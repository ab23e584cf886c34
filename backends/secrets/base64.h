/* Standard base64 (RFC 4648, padded) for stored nonces and ciphertexts, which are not secret.
 * libsodium's decoder runs in constant time, as keys require, and is several times slower. Pure
 * functions, any thread. */
#ifndef PIERRE_BASE64_H
#define PIERRE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#define BASE64_LENGTH(bytes) (((bytes) + 2) / 3 * 4)

/* Writes BASE64_LENGTH(length) characters and a NUL. */
void base64_encode(const unsigned char *bytes, size_t length, char *out);
/* Strict: correct padding, no bits left over, no other characters. `out` has room for length / 4 *
 * 3 bytes. */
bool base64_decode(const char *text, size_t length, unsigned char *out, size_t *out_length);

#endif
