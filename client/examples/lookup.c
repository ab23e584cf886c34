/* Handles a request with an API key as Pierre's server does: finds the key, reads its owner's
 * Strava token, and records the usage.
 *
 *     cc lookup.c $(pkg-config --cflags --libs pierre-db) -o lookup
 *     ./lookup PREFIX HASH            (the daemon's socket is found as pierre-dbctl finds it) */
#include <pierre-db.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what, const struct pierre_error *error)
{
	(void)fprintf(stderr, "%s: %s: %s\n", what, pierre_kind_name(error->kind), error->message);
	return 1;
}

static int record(struct pierre *db, const struct pierre_api_key *key, struct pierre_error *error)
{
	/* Members that are not set are omitted: the daemon sets the time. */
	struct pierre_api_key_usage_input usage = {
		.api_key_id = key->id,
		.tool_name = "get_activities",
		.status_code = 200,
		.has_response_time_ms = true,
		.response_time_ms = 12,
		.ip_address = "192.0.2.7",
	};

	return pierre_record_api_key_usage(db, &usage, error);
}

static int print_token(
	struct pierre *db, const struct pierre_api_key *key, struct pierre_error *error)
{
	struct pierre_token *token;
	char expires[PIERRE_TIME_SIZE];
	int status = pierre_get_strava_token(db, key->user_id, &token, error);

	if (status != 0)
		return status;
	if (token == NULL) {
		(void)puts("Strava: not connected");
		return 0;
	}
	(void)pierre_time_format(token->expires_at, expires);
	(void)printf("Strava: %zu characters of token, scope %s, until %s\n",
		strlen(token->access_token), token->scope, expires);
	pierre_token_free(token); /* also wipes it */
	return 0;
}

static int look_up(struct pierre *db, const char *prefix, const char *hash)
{
	struct pierre_error error;
	struct pierre_api_key *key;
	uint32_t used;
	int status = 0;

	if (pierre_get_api_key_by_prefix(db, prefix, hash, &key, &error) != 0)
		return fail("looking the key up", &error);
	if (key == NULL) {
		(void)puts("no active key has this prefix and hash");
		return 2;
	}
	(void)printf(
		"key %s of user %s: %s, tier %s\n", key->id, key->user_id, key->name, key->tier);
	if (print_token(db, key, &error) != 0)
		status = fail("reading the token", &error);
	else if (record(db, key, &error) != 0)
		status = fail("recording the usage", &error);
	else if (pierre_get_api_key_current_usage(db, key->id, &used, &error) != 0)
		status = fail("counting the usage", &error);
	else
		(void)printf("requests this month: %u of %u\n", used, key->rate_limit_requests);
	pierre_api_key_free(key);
	return status;
}

int main(int argc, char **argv)
{
	struct pierre *db;
	int status;

	if (argc != 3) {
		(void)fprintf(stderr, "usage: %s PREFIX HASH\n", argv[0]);
		return 64;
	}
	db = pierre_new(NULL);
	if (db == NULL)
		return 71;
	status = look_up(db, argv[1], argv[2]);
	pierre_free(db);
	return status;
}
