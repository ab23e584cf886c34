/* Standard base64 (RFC 4648, padded) of what is stored sealed: nonces and ciphertexts, which are no
 * secrets. libsodium's own takes the same time whatever it reads, as a key needs, which is several
 * times as long. Pure functions, any thread. */
#ifndef PIERRE_BASE64_H
#define PIERRE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#define BASE64_LENGTH(bytes) (((bytes) + 2) / 3 * 4)

/* Writes BASE64_LENGTH(length) characters and a NUL. */
void base64_encode(const unsigned char *bytes, size_t length, char *out);
/* Strict: padding where it belongs, no bits left over, nothing else. `out` has room for length / 4
 * * 3 bytes. */
bool base64_decode(const char *text, size_t length, unsigned char *out, size_t *out_length);

#endif
