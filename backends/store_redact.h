/* Database URLs without their password, for logs and messages. Thread: any. */
#ifndef PIERRE_STORE_REDACT_H
#define PIERRE_STORE_REDACT_H

#include <stdbool.h>
#include <stddef.h>

/* The URL as it may be shown: with *** for a password, and for all of it where the password's place
 * is not certain. Never longer than the URL and 3 bytes; out is NUL-terminated, cut to size. */
void store_redact_url(const char *url, char *out, size_t size);
/* Is it certain which part of a server's URL is the password? Else no part of the URL may be shown,
 * in no message. */
bool store_redact_url_is_clear(const char *url);

#endif
