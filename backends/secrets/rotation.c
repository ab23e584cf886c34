#include "rotation.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "../../protocol/catalog.h"
#include "../../protocol/json/json_add.h"
#include "../store.h"

static const char *const state_names[] = {"running", "finished", "blocked"};

void rotation_rows_sql(const char *before, const char *rest, char out[ROTATION_SQL_MAX])
{
	int length = snprintf(out, ROTATION_SQL_MAX, "%sSELECT id", before);

	for (const struct token_provider *provider = catalog_providers; provider->name != NULL;
		provider++) {
		const char *name = provider->name;

		assert(provider - catalog_providers < ROTATION_PROVIDERS_MAX &&
			length < ROTATION_SQL_MAX);
		length += snprintf(out + length, (size_t)(ROTATION_SQL_MAX - length),
			", %s_access_token, %s_refresh_token, %s_nonce, %s_expires_at IS NOT "
			"NULL AND %s_scope IS NOT NULL",
			name, name, name, name, name);
	}
	assert(length < ROTATION_SQL_MAX);
	length +=
		snprintf(out + length, (size_t)(ROTATION_SQL_MAX - length), " FROM users %s", rest);
	assert(length < ROTATION_SQL_MAX);
}

void rotation_set_sql(const char *provider, const char *table, const char *const texts[3],
	char out[ROTATION_SQL_MAX])
{
	int length = snprintf(out, ROTATION_SQL_MAX,
		"%s_access_token = %s, %s_refresh_token = %s, %s_nonce = %s, %s_version = %s || "
		"':' || "
		"CASE WHEN substr(%s%s_version, 1, 32) = %s%s_nonce THEN substr(%s%s_version, 34) "
		"ELSE %s%s_nonce END",
		provider, texts[0], provider, texts[1], provider, texts[2], provider, texts[2],
		table, provider, table, provider, table, provider, table, provider);

	assert(length < ROTATION_SQL_MAX);
	(void)length;
}

void rotation_begin_call(struct rotation *rotation)
{
	rotation->resealed = rotation->sessions = 0;
	if (rotation->state != ROTATION_RUNNING)
		rotation->hashed = rotation->settled = false;
}

void rotation_begin_binding(struct rotation *rotation)
{
	*rotation = (struct rotation){.state = ROTATION_RUNNING};
}

void rotation_hashed(struct rotation *rotation, uint64_t found)
{
	rotation->sessions += found;
	rotation->hashed = found == 0;
	if (found > 0)
		rotation->state = ROTATION_RUNNING;
}

void rotation_step(struct rotation *rotation)
{
	if (rotation->begun)
		return;
	if (rotation->state != ROTATION_RUNNING)
		rotation->pass = 0;
	rotation->state = ROTATION_RUNNING;
	rotation->begun = true;
	rotation->after[0] = '\0';
	rotation->pass++;
	rotation->users = rotation->checked = rotation->dirty = rotation->unreadable = 0;
}

static void note_unreadable(struct rotation *rotation, const struct rotation_token *token)
{
	if (rotation->unreadable < ROTATION_EXAMPLES) {
		(void)snprintf(rotation->examples[rotation->unreadable].user, ROTATION_ID_MAX, "%s",
			token->user);
		(void)snprintf(rotation->examples[rotation->unreadable].provider,
			sizeof rotation->examples->provider, "%s", token->provider);
	}
	rotation->unreadable++;
}

void rotation_own(struct binding_owner *owner, const struct rotation_token *token)
{
	binding_own(owner, token->provider, token->user, strlen(token->user), false);
}

int rotation_look(struct rotation *rotation, struct seal *seal, struct arena *arena,
	struct rotation_token *token, struct err *err)
{
	struct binding_owner owner;
	enum seal_fit fit = SEAL_NEITHER;

	if (token->stored[0] == NULL || token->stored[1] == NULL || token->stored[2] == NULL)
		return 0; /* no token */
	rotation_own(&owner, token);
	if (seal_again(seal, &owner, arena, token->stored, token->length, &fit, token->sealed,
		    token->sealed_length, err) < 0)
		return -1;
	/* An incomplete token is no token; what the old key sealed is sealed again all the same. */
	if (fit == SEAL_NEITHER && token->whole)
		note_unreadable(rotation, token);
	return fit == SEAL_OLDER;
}

void rotation_wrote(struct rotation *rotation, uint64_t tried, uint64_t changed)
{
	rotation->dirty += tried;
	rotation->resealed += changed;
}

int rotation_passed(struct rotation *rotation, const char *user, struct err *err)
{
	if (strlen(user) >= ROTATION_ID_MAX)
		return err_set(err, ERR_STORAGE,
			"the database holds a user whose id is longer than an id may be");
	memcpy(rotation->after, user, strlen(user) + 1);
	rotation->checked++;
	return 0;
}

bool rotation_ended(struct rotation *rotation, unsigned rows)
{
	if (rows == ROTATION_ROWS)
		return false;
	rotation->begun = false;
	if (rotation->dirty > 0)
		return false; /* another pass verifies that this was all */
	rotation->state = rotation->unreadable > 0 ? ROTATION_BLOCKED : ROTATION_FINISHED;
	return rotation->state == ROTATION_FINISHED;
}

void rotation_tell(const struct rotation *rotation, const struct store_settings *settings)
{
	char fingerprint[17];

	seal_fingerprint(settings->seal, fingerprint);
	if (rotation->state == ROTATION_FINISHED)
		settings->log(5, "all tokens of %llu users are under the key %s",
			(unsigned long long)rotation->checked, fingerprint);
	else if (rotation->state == ROTATION_BLOCKED)
		settings->log(4,
			"the rotation to the key %s is not finished: no known key opens %llu "
			"tokens",
			fingerprint, (unsigned long long)rotation->unreadable);
}

void rotation_follow_format(const struct store_settings *settings, enum binding_format format)
{
	if (seal_format(settings->seal) == format)
		return;
	seal_set_format(settings->seal, format, false);
	if (format == BINDING_CHANGES)
		settings->log(5,
			"the tokens are being bound to their users and providers, and session "
			"tokens hashed: servers before this version no longer read them");
	else if (format == BINDING_ALL)
		settings->log(5,
			"all tokens are bound to their users and providers, and all session "
			"tokens are hashed");
}

void rotation_describe(const struct rotation *rotation, const struct seal *seal, struct buffer *out)
{
	char fingerprint[17];

	json_add_object(out, NULL);
	json_add_text(out, "state", state_names[rotation->state]);
	seal_fingerprint(seal, fingerprint);
	json_add_text(out, "key", fingerprint);
	if (seal_previous(seal) != NULL)
		seal_fingerprint(seal_previous(seal), fingerprint);
	json_add_text(out, "previous_key", seal_previous(seal) != NULL ? fingerprint : NULL);
	json_add_count(out, "pass", rotation->pass);
	json_add_count(out, "users", rotation->users);
	json_add_count(out, "checked", rotation->checked);
	json_add_count(out, "resealed", rotation->resealed);
	json_add_count(out, "unreadable", rotation->unreadable);
	json_add_array(out, "examples");
	for (uint64_t i = 0; i < rotation->unreadable && i < ROTATION_EXAMPLES; i++) {
		json_add_object(out, NULL);
		json_add_text(out, "user_id", rotation->examples[i].user);
		json_add_text(out, "provider", rotation->examples[i].provider);
		json_add_end(out, '}');
	}
	json_add_end(out, ']');
	json_add_text(out, "format", binding_name(seal_format(seal)));
	json_add_count(out, "sessions", rotation->sessions);
	json_add_end(out, '}');
}

static bool opens(const struct seal *seal, const char *check)
{
	return seal != NULL && seal_check_matches(seal, check, strlen(check));
}

int rotation_prove(const struct seal *seal, const struct rotation_checks *checks, struct err *err)
{
	const struct seal *previous = seal_previous(seal);
	bool check = checks->check == NULL || opens(seal, checks->check) ||
		opens(previous, checks->check);
	bool next =
		checks->next == NULL || opens(seal, checks->next) || opens(previous, checks->next);

	if (check && next)
		return 0;
	if (checks->next != NULL && (check || next))
		return err_exit(err, EX_NOPERM,
			"the encryption key does not open all that this database holds: a rotation "
			"of the key was begun and "
			"is not finished. Give the other key as the previous one "
			"(PREVIOUS_ENCRYPTION_KEY), then run "
			"`pierre-dbctl rotate-key`");
	if (previous != NULL)
		return err_exit(err, EX_NOPERM,
			"neither the encryption key nor the previous one opens the tokens in this "
			"database holds");
	return err_exit(err, EX_NOPERM,
		"the encryption key does not open this database's tokens: they were sealed with "
		"another key");
}

void rotation_begin_checks(const struct seal *seal, const struct rotation_checks *checks,
	char check[128], char next[128])
{
	const struct seal *previous = seal_previous(seal);

	check[0] = next[0] = '\0';
	/* While a rotation is unfinished, either of two keys may have sealed any token, so the
	 * database is checked with both. */
	if (checks->check == NULL)
		(void)seal_check_make(previous != NULL ? previous : seal, check);
	if (previous == NULL || (checks->next != NULL && opens(seal, checks->next)) ||
		(checks->check != NULL && opens(seal, checks->check)))
		return;
	(void)seal_check_make(seal, next);
}
