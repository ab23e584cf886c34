/* Sealing: published AES-GCM vectors through the raw wrapper, the format in rows, keys and the
 * check value. Would catch: another algorithm, an unchecked tag, repeated nonces, the two texts
 * of a token mistaken for each other. */
#include <jansson.h>
#include <sodium.h>
#include <string.h>
#include <sysexits.h>

#include "../../backends/secrets/seal.h"
#include "../../backends/secrets/seal_key.h"
#include "unit.h"

static const char USER[] = "7f0f0a4e-1f60-4c7e-9c55-0d3f7c1b2a3d";

static struct binding_owner owner;

static char vectors_path[512];
static struct seal *seal;
static struct arena arena;
static struct err err;

static void set_up(void)
{
	unsigned char key[SEAL_KEY_BYTES];

	memset(key, 7, sizeof key);
	memset(&err, 0, sizeof err);
	arena_init(&arena);
	binding_own(&owner, "strava", USER, 36, true);
	ck_assert_int_eq(seal_new(&seal, key, false, &err), 0);
	ck_assert(sodium_is_zero(key, sizeof key));
}

static void tear_down(void)
{
	arena_free(&arena);
	seal_free(seal);
}

static size_t bytes_of(const json_t *test, const char *name, unsigned char *out, size_t size)
{
	const char *hex = json_string_value(json_object_get(test, name));
	size_t length = 0;

	ck_assert_ptr_nonnull(hex);
	ck_assert_int_eq(sodium_hex2bin(out, size, hex, strlen(hex), NULL, &length, NULL), 0);
	return length;
}

static void run_vector(const json_t *test)
{
	static unsigned char key[32], nonce[12], ad[4096], plain[4096], sealed[8192], out[8192];
	long long id = json_integer_value(json_object_get(test, "tcId"));
	bool valid = strcmp(json_string_value(json_object_get(test, "result")), "valid") == 0;
	size_t ad_length = bytes_of(test, "aad", ad, sizeof ad),
	       length = bytes_of(test, "msg", plain, sizeof plain);
	size_t sealed_length = bytes_of(test, "ct", sealed, sizeof sealed - 16);
	struct seal *with = NULL;

	ck_assert_uint_eq(bytes_of(test, "key", key, sizeof key), sizeof key);
	ck_assert_uint_eq(bytes_of(test, "iv", nonce, sizeof nonce), sizeof nonce);
	sealed_length += bytes_of(test, "tag", sealed + sealed_length, 16);
	ck_assert_int_eq(seal_new(&with, key, false, &err), 0);
	ck_assert_msg(seal_decrypt(with, nonce, sealed, sealed_length, ad, ad_length, out) == valid,
		"vector %lld is opened wrongly", id);
	if (valid) {
		ck_assert_msg(
			memcmp(out, plain, length) == 0, "vector %lld opens to another text", id);
		ck_assert_uint_eq(sealed_length, length + SEAL_TAG_BYTES);
	}
	seal_encrypt(with, nonce, plain, length, ad, ad_length, out);
	ck_assert_msg((memcmp(out, sealed, length + SEAL_TAG_BYTES) == 0) == valid,
		"vector %lld is sealed to another text", id);
	seal_free(with);
}

START_TEST(published_vectors)
{
	json_error_t error;
	json_t *file = json_load_file(vectors_path, 0, &error), *group, *test;
	size_t i, k, run = 0, refused = 0;

	ck_assert_msg(file != NULL, "%s: %s", vectors_path, error.text);
	json_array_foreach (json_object_get(file, "testGroups"), i, group) {
		if (json_integer_value(json_object_get(group, "keySize")) != 256 ||
			json_integer_value(json_object_get(group, "ivSize")) != 96 ||
			json_integer_value(json_object_get(group, "tagSize")) != 128)
			continue;
		json_array_foreach (json_object_get(group, "tests"), k, test) {
			run_vector(test);
			run++;
			refused += strcmp(json_string_value(json_object_get(test, "result")),
					   "invalid") == 0;
		}
	}
	json_decref(file);
	ck_assert_uint_ge(run, 60);
	ck_assert_uint_ge(refused, 20);
}
END_TEST

struct token {
	const char *text[3];
	size_t length[3];
};

static struct token make(const char *access, const char *refresh)
{
	struct token token;

	ck_assert_int_eq(seal_token(seal, &owner, &arena, access, strlen(access), refresh,
				 strlen(refresh), token.text, token.length, &err),
		0);
	return token;
}

static int open_part(const char *text, size_t length, const char *nonce, size_t nonce_length,
	int part, const char **plain, size_t *plain_length)
{
	memset(&err, 0, sizeof err);
	return seal_open(seal, &owner, &arena, text, length, nonce, nonce_length, part, plain,
		plain_length, &err);
}

/* Refused, with the same text for all causes. */
static void refused(
	const char *text, size_t length, const char *nonce, size_t nonce_length, int part)
{
	const char *plain;
	size_t plain_length;

	ck_assert_int_eq(
		open_part(text, length, nonce, nonce_length, part, &plain, &plain_length), -1);
	ck_assert_int_eq(err.kind, ERR_DECRYPTION_FAILED);
	ck_assert_str_eq(err.message,
		"the stored token cannot be opened: it was sealed with another key, altered or "
		"moved");
	arena_reset(&arena);
}

START_TEST(texts_come_back)
{
	static const char *const texts[] = {"", "a",
		"a longer token with \xC3\xA9 and \xF0\x9F\x9A\xB4",
		"0123456789abcdef0123456789abcdef"};

	for (size_t i = 0; i < 4; i++)
		for (int part = 0; part < 2; part++) {
			struct token token = make(texts[i], texts[3 - i]);
			const char *plain = NULL, *want = part == 0 ? texts[i] : texts[3 - i];
			size_t length = 0;

			ck_assert_int_eq(
				open_part(token.text[part], token.length[part], token.text[2],
					token.length[2], part, &plain, &length),
				0);
			ck_assert_uint_eq(length, strlen(want));
			ck_assert_mem_eq(plain, want, length + 1);
			ck_assert_uint_eq(token.length[part], strlen(token.text[part]));
			ck_assert_uint_eq(token.length[part], (strlen(want) + 16 + 2) / 3 * 4);
			ck_assert_uint_eq(token.length[2], SEAL_NONCE_TEXT);
		}
	ck_assert_uint_eq(seal_count(seal), 16);
	ck_assert_uint_eq(seal_opened(seal), 8);
}
END_TEST

/* The column's format, decomposed by hand: base64 of text and tag, no additional data, the nonce
 * for the text's position. */
START_TEST(format_of_the_rows)
{
	struct token token = make("access", "refresh");
	unsigned char nonces[24], bytes[64], plain[64];
	size_t length;

	ck_assert_int_eq(sodium_base642bin(nonces, sizeof nonces, token.text[2], token.length[2],
				 NULL, &length, NULL, sodium_base64_VARIANT_ORIGINAL),
		0);
	ck_assert_uint_eq(length, 24);
	for (int part = 0; part < 2; part++) {
		ck_assert_int_eq(
			sodium_base642bin(bytes, sizeof bytes, token.text[part], token.length[part],
				NULL, &length, NULL, sodium_base64_VARIANT_ORIGINAL),
			0);
		ck_assert(seal_decrypt(seal, nonces + part * 12, bytes, length, NULL, 0, plain));
		ck_assert_mem_eq(plain, part == 0 ? "access" : "refresh", length - 16);
	}
}
END_TEST

static int compare_nonces(const void *a, const void *b)
{
	return memcmp(a, b, SEAL_NONCE_TEXT / 2);
}

START_TEST(nonces_never_repeat)
{
	enum { COUNT = 2000 };
	static char seen[COUNT * 2][SEAL_NONCE_TEXT / 2];

	for (int i = 0; i < COUNT; i++) {
		struct token token = make("a", "b");

		memcpy(seen[2 * i], token.text[2],
			16); /* 12 bytes are 16 characters: the halves split exactly */
		memcpy(seen[2 * i + 1], token.text[2] + 16, 16);
		arena_reset(&arena);
	}
	qsort(seen, sizeof seen / sizeof *seen, sizeof *seen, compare_nonces);
	for (size_t i = 1; i < sizeof seen / sizeof *seen; i++)
		ck_assert_mem_ne(seen[i - 1], seen[i], sizeof *seen);
}
END_TEST

/* Loops, since the characters of a sealed text are random: + and / are those that a lenient
 * decoder also reads from other bytes. */
START_TEST(every_bit_counts)
{
	struct token token = make("an access token", "a refresh token");
	char *copies[3];

	for (int i = 0; i < 3; i++)
		copies[i] = strdup(token.text[i]);
	for (int which = 0; which < 3; which++)
		for (size_t bit = 0; bit < token.length[which] * 8; bit++) {
			/* The nonce column's halves: each belongs to its own text. */
			int part = which == 2 ? (bit / 8 >= SEAL_NONCE_TEXT / 2) : which;

			copies[which][bit / 8] = (char)(copies[which][bit / 8] ^ 1 << bit % 8);
			refused(copies[part], token.length[part], copies[2], token.length[2], part);
			copies[which][bit / 8] = (char)(copies[which][bit / 8] ^ 1 << bit % 8);
		}
	for (int i = 0; i < 3; i++)
		free(copies[i]);
}
END_TEST

START_TEST(misplaced_and_cut)
{
	struct token token = make("an access token", "a refresh token"),
		     other = make("an access token", "a refresh token");
	char *copies[3], *nonce = strdup(other.text[2]), swapped[SEAL_NONCE_TEXT];

	for (int i = 0; i < 3; i++)
		copies[i] = strdup(token.text[i]);
	refused(copies[0], token.length[0], copies[2], SEAL_NONCE_TEXT, 1);
	refused(copies[1], token.length[1], copies[2], SEAL_NONCE_TEXT, 0);
	refused(copies[0], token.length[0], nonce, SEAL_NONCE_TEXT, 0);
	memcpy(swapped, copies[2] + 16, 16);
	memcpy(swapped + 16, copies[2], 16);
	refused(copies[0], token.length[0], swapped, SEAL_NONCE_TEXT, 0);
	for (size_t length = 0; length < token.length[0]; length++)
		refused(copies[0], length, copies[2], SEAL_NONCE_TEXT, 0);
	for (size_t length = 0; length < SEAL_NONCE_TEXT; length++)
		refused(copies[0], token.length[0], copies[2], length, 0);
	refused("plain text", 10, copies[2], SEAL_NONCE_TEXT, 0);
	for (int i = 0; i < 3; i++)
		free(copies[i]);
	free(nonce);
}
END_TEST

/* A plaintext that is not a text must not reach an answer. */
START_TEST(bytes_that_are_no_text)
{
	static const char *const bad[] = {"\xFF", "a\xC3", "\xED\xA0\x80"};

	for (size_t i = 0; i < 3; i++) {
		struct token token = make(bad[i], bad[i]);
		char *text = strdup(token.text[1]), *nonce = strdup(token.text[2]);

		refused(text, strlen(text), nonce, SEAL_NONCE_TEXT, 1);
		free(text);
		free(nonce);
	}
	const char *out[3];
	size_t length[3], plain_length;
	const char *plain;
	ck_assert_int_eq(seal_token(seal, &owner, &arena, "a\0b", 3, "", 0, out, length, &err), 0);
	ck_assert_int_eq(
		open_part(out[0], length[0], out[2], length[2], 0, &plain, &plain_length), -1);
	ck_assert_int_eq(err.kind, ERR_DECRYPTION_FAILED);
}
END_TEST

static int parse_key(const char *text)
{
	unsigned char key[SEAL_KEY_BYTES];

	memset(&err, 0, sizeof err);
	return seal_key_parse(text, strlen(text), key, &err);
}

START_TEST(keys)
{
	static const char *const bad[] = {
		"",
		"\n",
		"AAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"_-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"AAAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAA=",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=",
		"0001020304050607080910111213141516171819202122232425262728293031",
	};
	char made[2][45];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_msg(parse_key(bad[i]) == -1, "\"%s\" was taken", bad[i]);
		ck_assert_int_eq(err.exit_code, EX_CONFIG);
		ck_assert_ptr_nonnull(strstr(err.message, "base64"));
		ck_assert_ptr_nonnull(strstr(err.message, "--generate-key"));
		if (strlen(bad[i]) >= 4)
			ck_assert_ptr_null(strstr(err.message, bad[i]));
	}
	ck_assert_int_eq(parse_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), 0);
	ck_assert_int_eq(parse_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"), 0);
	for (int i = 0; i < 2; i++) {
		seal_key_generate(made[i]);
		ck_assert_uint_eq(strlen(made[i]), 44);
		ck_assert_int_eq(parse_key(made[i]), 0);
	}
	ck_assert_str_ne(made[0], made[1]);
}
END_TEST

START_TEST(check_value)
{
	unsigned char key[SEAL_KEY_BYTES];
	struct seal *other;
	char text[128];

	memset(key, 8, sizeof key);
	ck_assert_int_eq(seal_new(&other, key, false, &err), 0);
	seal_check_make(seal, text);
	ck_assert(seal_check_matches(seal, text, strlen(text)));
	ck_assert(!seal_check_matches(other, text, strlen(text)));
	for (size_t length = 0; length < strlen(text); length++)
		ck_assert(!seal_check_matches(seal, text, length));
	for (size_t bit = 0; bit < strlen(text) * 8; bit++) {
		char copy[128];

		memcpy(copy, text, sizeof copy);
		copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
		ck_assert(!seal_check_matches(seal, copy, strlen(text)));
	}
	/* A sealed token of the same length is not a check value. */
	unsigned char nonce[12] = {1}, sealed[36];
	seal_encrypt(seal, nonce, "pierre-dbd key chexk", 20, NULL, 0, sealed);
	sodium_bin2base64(text, sizeof text, nonce, sizeof nonce, sodium_base64_VARIANT_ORIGINAL);
	strcat(text, ":");
	sodium_bin2base64(text + strlen(text), sizeof text - strlen(text), sealed, sizeof sealed,
		sodium_base64_VARIANT_ORIGINAL);
	ck_assert(!seal_check_matches(seal, text, strlen(text)));
	seal_free(other);
	seal_free(NULL);
}
END_TEST

static struct seal *other_key(unsigned char fill)
{
	unsigned char key[SEAL_KEY_BYTES];
	struct seal *made = NULL;

	memset(key, fill, sizeof key);
	ck_assert_int_eq(seal_new(&made, key, false, &err), 0);
	return made;
}

/* Tokens of the previous key open, are recognised as such, and are resealed so that the current
 * key alone opens them. */
START_TEST(two_keys)
{
	struct seal *old = other_key(8), *next = other_key(9), *fresh = other_key(9);
	const char *stored[3], *again[3], *plain;
	size_t length[3], again_length[3], plain_length;
	enum seal_fit fit;

	ck_assert_int_eq(
		seal_token(old, &owner, &arena, "access", 6, "refresh", 7, stored, length, &err),
		0);
	ck_assert_int_eq(seal_open(next, &owner, &arena, stored[0], length[0], stored[2], length[2],
				 0, &plain, &plain_length, &err),
		-1);
	ck_assert_int_eq(
		seal_again(next, &owner, &arena, stored, length, &fit, again, again_length, &err),
		0);
	ck_assert_int_eq(fit, SEAL_NEITHER);
	ck_assert_int_eq(seal_add_previous(next, seal_hold(old), &err), 0);
	ck_assert_ptr_eq(seal_previous(next), old);
	for (int part = 0; part < 2; part++) {
		ck_assert_int_eq(seal_open(next, &owner, &arena, stored[part], length[part],
					 stored[2], length[2], part, &plain, &plain_length, &err),
			0);
		ck_assert_str_eq(plain, part == 0 ? "access" : "refresh");
	}
	ck_assert_int_eq(
		seal_again(next, &owner, &arena, stored, length, &fit, again, again_length, &err),
		0);
	ck_assert_int_eq(fit, SEAL_OLDER);
	ck_assert_str_ne(again[2], stored[2]);
	for (int part = 0; part < 2; part++) {
		ck_assert_int_eq(
			seal_open(fresh, &owner, &arena, again[part], again_length[part], again[2],
				again_length[2], part, &plain, &plain_length, &err),
			0);
		ck_assert_str_eq(plain, part == 0 ? "access" : "refresh");
	}
	ck_assert_int_eq(
		seal_again(next, &owner, &arena, again, again_length, &fit, stored, length, &err),
		0);
	ck_assert_int_eq(fit, SEAL_CURRENT);
	/* New tokens use the current key; the previous one is no evidence. */
	ck_assert_int_eq(
		seal_token(next, &owner, &arena, "a", 1, "r", 1, again, again_length, &err), 0);
	ck_assert_int_eq(seal_open(fresh, &owner, &arena, again[0], again_length[0], again[2],
				 again_length[2], 0, &plain, &plain_length, &err),
		0);
	ck_assert_int_eq(seal_add_previous(fresh, other_key(9), &err), -1);
	ck_assert_int_eq(err.exit_code, EX_CONFIG);
	ck_assert_ptr_null(seal_previous(fresh));
	seal_free(next);
	seal_free(fresh);
	seal_free(old);
}
END_TEST

START_TEST(two_keys_damaged)
{
	struct seal *old = other_key(8), *next = other_key(9);
	const char *stored[3], *mixed[3], *again[3];
	size_t length[3], mixed_length[3], again_length[3];
	enum seal_fit fit;

	ck_assert_int_eq(
		seal_token(old, &owner, &arena, "access", 6, "refresh", 7, stored, length, &err),
		0);
	ck_assert_int_eq(seal_add_previous(next, old, &err), 0);
	for (int cut = 0; cut < 3; cut++) {
		memcpy(mixed, stored, sizeof mixed);
		memcpy(mixed_length, length, sizeof mixed_length);
		mixed_length[cut] -= 4;
		ck_assert_int_eq(seal_again(next, &owner, &arena, mixed, mixed_length, &fit, again,
					 again_length, &err),
			0);
		ck_assert_int_eq(fit, SEAL_NEITHER);
	}
	mixed[0] = stored[1];
	mixed[1] = stored[0];
	mixed[2] = stored[2];
	mixed_length[0] = length[1];
	mixed_length[1] = length[0];
	mixed_length[2] = length[2];
	ck_assert_int_eq(seal_again(next, &owner, &arena, mixed, mixed_length, &fit, again,
				 again_length, &err),
		0);
	ck_assert_int_eq(fit, SEAL_NEITHER);
	seal_free(next);
}
END_TEST

static bool opens(
	struct binding_owner *whose, const char *text, size_t length, const char *nonce, int part)
{
	const char *plain;
	size_t plain_length;

	memset(&err, 0, sizeof err);
	return seal_open(seal, whose, &arena, text, length, nonce, SEAL_NONCE_TEXT, part, &plain,
		       &plain_length, &err) == 0;
}

/* A bound token opens for its owner and in its column alone. */
START_TEST(bound)
{
	struct binding_owner upper, user, provider, longest, longer;
	static char id[BINDING_DATA_MAX];
	struct token token;

	binding_own(&upper, "strava", "7F0F0A4E1F604C7E9C550D3F7C1B2A3D", 32, false);
	binding_own(&user, "strava", "7f0f0a4e-1f60-4c7e-9c55-0d3f7c1b2a3e", 36, false);
	binding_own(&provider, "fitbit", USER, 36, false);
	memset(id, 'x', sizeof id);
	binding_own(&longest, "strava", id, BINDING_DATA_MAX - 9, false);
	binding_own(&longer, "strava", id, BINDING_DATA_MAX - 8, false);
	ck_assert_uint_eq(longest.length, BINDING_DATA_MAX);
	ck_assert_uint_eq(longer.length, 0);
	seal_set_format(seal, BINDING_CHANGES, true);
	token = make("access", "access");
	for (int part = 0; part < 2; part++) {
		const char *text = token.text[part];
		size_t length = token.length[part];

		ck_assert_int_eq(text[0], ':');
		ck_assert(opens(&owner, text, length, token.text[2], part));
		ck_assert(opens(&upper, text, length, token.text[2], part));
		ck_assert(!opens(&user, text, length, token.text[2], part));
		ck_assert(!opens(&provider, text, length, token.text[2], part));
		ck_assert(!opens(&longer, text, length, token.text[2], part));
		ck_assert(!opens(&owner, text, length, token.text[2], 1 - part));
		/* Without its mark it is no token of the old format. */
		ck_assert(!opens(&owner, text + 1, length - 1, token.text[2], part));
	}
	/* In the other column with the nonces exchanged, which the old format does not notice. */
	char nonces[SEAL_NONCE_TEXT + 1];

	(void)snprintf(nonces, sizeof nonces, "%.16s%.16s", token.text[2] + 16, token.text[2]);
	ck_assert(!opens(&owner, token.text[1], token.length[1], nonces, 0));
	seal_set_format(seal, BINDING_NONE, true);
	token = make("access", "access");
	(void)snprintf(nonces, sizeof nonces, "%.16s%.16s", token.text[2] + 16, token.text[2]);
	ck_assert(opens(&owner, token.text[1], token.length[1], nonces, 0));
	ck_assert(opens(&user, token.text[0], token.length[0], token.text[2], 0));
}
END_TEST

START_TEST(formats)
{
	const char *again[3], *unused[3];
	size_t again_length[3];
	enum seal_fit fit;
	struct token old = make("access", "refresh");

	ck_assert_int_eq(seal_again(seal, &owner, &arena, old.text, old.length, &fit, again,
				 again_length, &err),
		0);
	ck_assert_int_eq(fit, SEAL_CURRENT);
	seal_set_format(seal, BINDING_CHANGES, false);
	ck_assert(opens(&owner, old.text[0], old.length[0], old.text[2], 0));
	ck_assert_int_eq(seal_again(seal, &owner, &arena, old.text, old.length, &fit, again,
				 again_length, &err),
		0);
	ck_assert_int_eq(fit, SEAL_OLDER);
	ck_assert(binding_marked(again[0], again_length[0]));
	ck_assert_int_eq(seal_again(seal, &owner, &arena, again, again_length, &fit, unused,
				 old.length, &err),
		0);
	ck_assert_int_eq(fit, SEAL_CURRENT);
	/* Reads that began before the end may still see the old format; a start is strict. */
	seal_set_format(seal, BINDING_NONE, true);
	old = make("access", "refresh");
	seal_set_format(seal, BINDING_ALL, false);
	ck_assert(opens(&owner, old.text[0], old.length[0], old.text[2], 0));
	seal_set_format(seal, BINDING_CHANGES, true);
	seal_set_format(seal, BINDING_ALL, true);
	ck_assert(!opens(&owner, old.text[0], old.length[0], old.text[2], 0));
	ck_assert(opens(&owner, again[0], again_length[0], again[2], 0));
	ck_assert_int_eq(binding_named("binding"), BINDING_CHANGES);
	ck_assert_int_eq(binding_named("other"), BINDING_NONE);
	ck_assert_int_eq(binding_named(NULL), BINDING_NONE);
}
END_TEST

START_TEST(session_hashes)
{
	static const char known[] =
		"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	char hash[BINDING_HASH_LENGTH + 1];

	binding_hash("abc", 3, hash);
	ck_assert_str_eq(hash, known);
	ck_assert(binding_is_hash(hash, BINDING_HASH_LENGTH));
	ck_assert(!binding_is_hash(hash, BINDING_HASH_LENGTH - 1));
	hash[BINDING_HASH_LENGTH - 1] = 'g';
	ck_assert(!binding_is_hash(hash, BINDING_HASH_LENGTH));
}
END_TEST

static int seal_one(void)
{
	const char *out[3];
	size_t length[3];

	arena_reset(&arena);
	return seal_token(seal, &owner, &arena, "a", 1, "r", 1, out, length, &err);
}

START_TEST(counting)
{
	uint64_t added, stored = 5000;
	char name[SEAL_COUNT_NAME];

	seal_count_name(seal, name);
	ck_assert_int_eq(strncmp(name, "sealed:", 7), 0);
	ck_assert_uint_eq(strlen(name), 7 + 16);
	seal_count_start(seal, stored);
	ck_assert_uint_eq(
		seal_count_wanted(seal), 0); /* a start that seals nothing does not count */
	for (uint64_t sealed = 2; sealed <= 40000; sealed += 2) {
		ck_assert_int_eq(seal_one(), 0);
		ck_assert_uint_eq(seal_count_total(seal), 5000 + sealed);
		added = seal_count_wanted(seal);
		if (added > 0) {
			ck_assert_uint_eq(seal_count_wanted(seal), 0); /* one at a time */
			stored += added;
			seal_count_stored(seal, added, stored);
		}
		ck_assert_uint_ge(stored, 5000 + sealed);
		ck_assert_uint_le(stored, 5000 + 3 * sealed + 1024 * 2);
	}
	/* It failed: the next check wants it again, and more. */
	while ((added = seal_count_wanted(seal)) == 0)
		ck_assert_int_eq(seal_one(), 0);
	seal_count_failed(seal);
	ck_assert_int_eq(seal_one(), 0);
	ck_assert_uint_ge(seal_count_wanted(seal), added);
	/* Another daemon has reserved 1,000,000 meanwhile: they count here, too. */
	uint64_t before = seal_count_total(seal);
	seal_count_stored(seal, added, stored + 1000000 + added);
	ck_assert_uint_eq(seal_count_total(seal), before + 1000000);
}
END_TEST

START_TEST(the_last_sealing)
{
	seal_count_start(seal, SEAL_LIMIT - 5);
	ck_assert_int_eq(seal_one(), 0);
	ck_assert_int_eq(seal_one(), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(seal_one(), -1);
		ck_assert_int_eq(err.kind, ERR_STORAGE);
	}
	ck_assert_uint_eq(seal_count_total(seal), SEAL_LIMIT - 1);
}
END_TEST

int main(void)
{
	bool vectors = unit_data("data/wycheproof_aes_gcm.json", vectors_path, sizeof vectors_path);
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	if (vectors)
		tcase_add_test(tests, published_vectors);
	tcase_add_test(tests, texts_come_back);
	tcase_add_test(tests, format_of_the_rows);
	tcase_add_test(tests, nonces_never_repeat);
	tcase_add_loop_test(tests, every_bit_counts, 0, 8);
	tcase_add_test(tests, misplaced_and_cut);
	tcase_add_test(tests, bytes_that_are_no_text);
	tcase_add_test(tests, keys);
	tcase_add_loop_test(tests, check_value, 0, 8);
	tcase_add_test(tests, two_keys);
	tcase_add_test(tests, two_keys_damaged);
	tcase_add_test(tests, bound);
	tcase_add_test(tests, formats);
	tcase_add_test(tests, session_hashes);
	tcase_add_test(tests, counting);
	tcase_add_test(tests, the_last_sealing);
	return unit_run("seal", tests, vectors);
}
