/* Database URLs without their password, for logs and messages. Thread: any. */
#ifndef PIERRE_STORE_REDACT_H
#define PIERRE_STORE_REDACT_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the URL for display: with *** for a password, or for the whole URL where the password's
 * position is ambiguous. At most 3 bytes longer than the URL; out is NUL-terminated, cut to
 * size. */
void store_redact_url(const char *url, char *out, size_t size);
/* Whether the password's position in a server's URL is certain. If not, no message may show any
 * part of the URL. */
bool store_redact_url_is_clear(const char *url);

#endif
