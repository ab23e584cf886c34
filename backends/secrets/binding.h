/* To whom a stored secret belongs: the associated data of a token, and the hash of a session token.
 *
 * A token is bound to its user, provider and column. Its associated data are the provider, `a` for
 * the access token or `r` for the refresh token, and the user's id: `strava a 7f0f0a4e-…`. Its
 * texts begin with a mark that is no base64, so a server that does not know this format cannot open
 * them. */
#ifndef PIERRE_BINDING_H
#define PIERRE_BINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "../../protocol/catalog.h"

/* The format of a database's tokens. */
enum binding_format {
	BINDING_NONE,    /* tokens without associated data, session tokens as they are */
	BINDING_CHANGES, /* all is written in the new format; both can be read */
	BINDING_ALL,     /* nothing else is read */
};

#define BINDING_MARK ":"
#define BINDING_HASH_MARK "sha256:"
/* The least text that is greater than all hashes. */
#define BINDING_HASH_END "sha256;"
enum {
	BINDING_MARK_LENGTH = sizeof BINDING_MARK - 1,
	BINDING_HASH_LENGTH = sizeof BINDING_HASH_MARK - 1 + 64,
	BINDING_DATA_MAX = 160
};

/* The associated data of both texts, which differ in one letter. */
struct binding_owner {
	char data[BINDING_DATA_MAX];
	size_t length; /* 0: the id is longer than any */
	size_t letter; /* its place */
};

/* canonical: the id is known to be in the canonical form of a UUID. An id has one form here,
 * however a row or a caller writes it. */
void binding_own(struct binding_owner *owner, const char *provider, const char *user,
	size_t user_length, bool canonical);
/* The owner of a call's token: bind parameters of its method. */
void binding_own_call(
	struct binding_owner *owner, const struct method *method, const struct value *values);
/* The associated data, owner->length bytes. part: 0 access, 1 refresh. */
static inline const char *binding_data(struct binding_owner *owner, int part)
{
	owner->data[owner->letter] = part == 0 ? 'a' : 'r';
	return owner->data;
}

bool binding_marked(const char *sealed, size_t length);

/* The stored form of a session token: `sha256:` and 64 hexadecimal digits. */
void binding_hash(const char *token, size_t length, char out[BINDING_HASH_LENGTH + 1]);
bool binding_is_hash(const char *text, size_t length);

/* "unbound", "binding", "bound" */
const char *binding_name(enum binding_format format);
/* The other way round; NULL or another text: BINDING_NONE. */
enum binding_format binding_named(const char *name);

#endif
