/* libFuzzer: possible contents of a database instead of a sealed token. Only sealed texts open,
 * and all refusals have one text. The input is `part byte, sealed text, \n, nonce text`; in
 * addition, a true token with one of its bytes replaced must not open. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../backends/secrets/seal.h"
#include "../../backends/secrets/seal_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct binding_owner owner;

static struct seal *seal;

static void replaced(const uint8_t *data, size_t size)
{
	static const char access[] = "access token", refresh[] = "refresh";
	struct arena arena;
	struct err err;
	const char *out[3], *plain;
	size_t length[3], plain_length, part, place;
	char *text;

	arena_init(&arena);
	if (seal_token(seal, &owner, &arena, access, sizeof access - 1, refresh, sizeof refresh - 1,
		    out, length, &err) < 0)
		abort();
	if (seal_open(seal, &owner, &arena, out[0], length[0], out[2], length[2], 0, &plain,
		    &plain_length, &err) < 0 ||
		plain_length != sizeof access - 1 || memcmp(plain, access, plain_length) != 0)
		abort();
	part = data[0] % 2;
	place = size > 2 ? data[1] % length[part] : 0;
	text = arena_copy(&arena, out[part], length[part]);
	if (text == NULL)
		abort();
	if (size > 2 && text[place] != (char)data[2]) {
		text[place] = (char)data[2];
		if (seal_open(seal, &owner, &arena, text, length[part], out[2], length[2],
			    (int)part, &plain, &plain_length, &err) == 0)
			abort();
	}
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char key[SEAL_KEY_BYTES];
	static char told[ERR_MESSAGE_MAX];
	const char *text = (const char *)data + 1, *plain, *newline;
	size_t length;
	struct arena arena;
	struct err err = {0};

	if (size < 1)
		return 0;
	if (seal == NULL && seal_new(&seal, key, false, &err) < 0)
		abort();
	binding_own(&owner, "strava", "7f0f0a4e-1f60-4c7e-9c55-0d3f7c1b2a3d", 36, true);
	replaced(data, size);
	arena_init(&arena);
	newline = memchr(text, '\n', size - 1);
	length = newline != NULL ? (size_t)(newline - text) : size - 1;
	if (seal_open(seal, &owner, &arena, text, length, newline != NULL ? newline + 1 : "",
		    size - 1 - length - (newline != NULL), data[0] % 2, &plain, &length, &err) == 0)
		abort(); /* a forgery */
	if (told[0] == '\0')
		memcpy(told, err.message, sizeof told);
	if (strcmp(told, err.message) != 0 || err.kind != ERR_DECRYPTION_FAILED)
		abort();
	(void)seal_check_matches(seal, text, size - 1);
	(void)seal_key_parse(text, size - 1, (unsigned char[SEAL_KEY_BYTES]){0}, &err);
	arena_free(&arena);
	return 0;
}
