#include "tokens.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "row.h"

/* A provider's columns, in their order. */
enum { ACCESS, REFRESH, EXPIRES_AT, SCOPE, NONCE, VERSION };

static bool is_table(const struct table_of *table, const char *name)
{
	return strcmp(table->name, name) == 0;
}

static struct value *columns_of(const struct table_of *table, const struct value *values,
	const struct token_provider *provider)
{
	char name[40];

	(void)snprintf(name, sizeof name, "%s_access_token", provider->name);
	return (struct value *)(uintptr_t)&values[row_column_place(table, name)];
}

static bool is_whole(const struct value *columns)
{
	for (int i = ACCESS; i <= NONCE; i++)
		if (!columns[i].set)
			return false;
	return true;
}

static void own(struct binding_owner *owner, const struct value *values,
	const struct token_provider *provider)
{
	binding_own(owner, provider->name, values[0].s.ptr, values[0].s.len, false);
}

static int refuse(
	const struct value *values, const struct token_provider *provider, struct err *err)
{
	return err_exit(err, EX_DATAERR,
		"the %s token of user %.*s does not open with the key; clear it (clear_%s_token) "
		"and start again",
		provider->name, (int)values[0].s.len, values[0].s.ptr, provider->name);
}

static int no_memory(struct err *err)
{
	return err_exit(err, EX_OSERR, "out of memory");
}

static bool is_bound(const struct value *text)
{
	return binding_marked(text->s.ptr, text->s.len);
}

static int open_texts(const struct value *values, const struct token_provider *provider,
	const struct value *columns, struct seal *seal, struct arena *arena, struct value plain[2],
	struct err *err)
{
	struct binding_owner owner;

	own(&owner, values, provider);
	for (int part = 0; part < 2; part++)
		if (seal_open(seal, &owner, arena, columns[part].s.ptr, columns[part].s.len,
			    columns[NONCE].s.ptr, columns[NONCE].s.len, part, &plain[part].s.ptr,
			    &plain[part].s.len, err) < 0)
			return refuse(values, provider, err);
	return 0;
}

static void put_text(struct value *value, const char *text, size_t length)
{
	*value = (struct value){.set = true, .s = {text, length}};
}

/* A token that is sealed anew keeps its version: see sql/tokens.sql. */
static int keep_version(
	struct value *columns, const struct value *nonce, struct arena *arena, struct err *err)
{
	const struct value *old = &columns[NONCE], *noted = &columns[VERSION];
	const char *version = old->s.ptr;
	size_t length = old->s.len, start = nonce->s.len + 1;
	char *text;

	if (noted->set && noted->s.len > old->s.len &&
		memcmp(noted->s.ptr, old->s.ptr, old->s.len) == 0) {
		version = noted->s.ptr + old->s.len + 1;
		length = noted->s.len - old->s.len - 1;
	}
	text = arena_alloc(arena, start + length);
	if (text == NULL)
		return no_memory(err);
	memcpy(text, nonce->s.ptr, nonce->s.len);
	text[nonce->s.len] = ':';
	memcpy(text + start, version, length);
	put_text(&columns[VERSION], text, start + length);
	return 0;
}

static int seal_anew(const struct value *values, const struct token_provider *provider,
	struct value *columns, struct seal *seal, struct arena *arena, struct err *err)
{
	struct binding_owner owner;
	struct value plain[2], nonce;
	const char *out[3];
	size_t length[3];

	if (open_texts(values, provider, columns, seal, arena, plain, err) < 0)
		return -1;
	own(&owner, values, provider);
	if (seal_token(seal, &owner, arena, plain[0].s.ptr, plain[0].s.len, plain[1].s.ptr,
		    plain[1].s.len, out, length, err) < 0)
		return err_exit(err, EX_DATAERR, "the %s token of a user cannot be sealed anew",
			provider->name);
	put_text(&nonce, out[2], length[2]);
	if (keep_version(columns, &nonce, arena, err) < 0)
		return -1;
	put_text(&columns[ACCESS], out[0], length[0]);
	put_text(&columns[REFRESH], out[1], length[1]);
	columns[NONCE] = nonce;
	return 0;
}

static int convert_token(const struct value *values, const struct token_provider *provider,
	struct value *columns, enum binding_format source, struct seal *seal, struct arena *arena,
	struct err *err)
{
	bool binds = seal_format(seal) != BINDING_NONE;

	if (!is_whole(columns)) {
		/* No daemon reads what is left of it, and a bound database takes no such text. */
		if (binds)
			columns[ACCESS].set = columns[REFRESH].set = columns[NONCE].set = false;
		return 0;
	}
	/* A bound source reads no others, so they must not become bound here. */
	if (source == BINDING_ALL && (!is_bound(&columns[ACCESS]) || !is_bound(&columns[REFRESH])))
		return refuse(values, provider, err);
	if (is_bound(&columns[ACCESS]) == binds && is_bound(&columns[REFRESH]) == binds)
		return 0;
	return seal_anew(values, provider, columns, seal, arena, err);
}

static int hash_session(
	const struct table_of *table, struct value *values, struct arena *arena, struct err *err)
{
	struct value *token = &values[row_column_place(table, "session_token")];
	char *hash;

	if (binding_is_hash(token->s.ptr, token->s.len))
		return 0;
	hash = arena_alloc(arena, BINDING_HASH_LENGTH + 1);
	if (hash == NULL)
		return no_memory(err);
	binding_hash(token->s.ptr, token->s.len, hash);
	put_text(token, hash, BINDING_HASH_LENGTH);
	return 0;
}

bool tokens_stay(const struct table_of *table, const struct value *values)
{
	static const char format[] = "token_format";

	return is_table(table, "pierre_meta") && values[0].set &&
		values[0].s.len == sizeof format - 1 &&
		memcmp(values[0].s.ptr, format, sizeof format - 1) == 0;
}

int tokens_convert(const struct table_of *table, struct value *values, enum binding_format source,
	struct seal *seal, struct arena *arena, struct err *err)
{
	if (is_table(table, "a2a_sessions") && seal_format(seal) != BINDING_NONE)
		return hash_session(table, values, arena, err);
	if (!is_table(table, "users"))
		return 0;
	for (const struct token_provider *provider = catalog_providers; provider->name != NULL;
		provider++)
		if (convert_token(values, provider, columns_of(table, values, provider), source,
			    seal, arena, err) < 0)
			return -1;
	return 0;
}

int tokens_open(const struct table_of *table, const struct value *values, struct seal *seal,
	struct arena *arena, uint64_t *opened, struct err *err)
{
	for (const struct token_provider *provider = catalog_providers; provider->name != NULL;
		provider++) {
		const struct value *columns = columns_of(table, values, provider);
		struct value plain[2];

		if (!is_whole(columns))
			continue; /* the daemon treats it as absent */
		if (open_texts(values, provider, columns, seal, arena, plain, err) < 0)
			return -1;
		++*opened;
	}
	return 0;
}
