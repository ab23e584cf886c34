/* The token key and the database: key check, count of sealed texts, key rotation. Blocking, on a
 * connection that is not in pipeline mode. Uses no prepared statements or session settings and
 * works through a pooler. */
#include "keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "../../../protocol/json/json.h"
#include "../../../protocol/json/json_add.h"
#include "../result.h"
#include "connect.h"
#include "format.h"
#include "query.h"

enum { STEP_TRIES = 5 };

_Static_assert(ROTATION_ROWS == 100, "the statements below say so");

/* pierre_meta's value for a name, from a result of names and values; NULL: none. */
static const char *postgres_keys_value_of(const PGresult *result, const char *name)
{
	for (int i = 0; i < PQntuples(result); i++)
		if (strcmp(PQgetvalue(result, i, 0), name) == 0)
			return PQgetvalue(result, i, 1);
	return NULL;
}

static PGresult *postgres_keys_read_meta(PGconn *pq, const struct seal *seal, struct err *err)
{
	char name[SEAL_COUNT_NAME], sql[160];
	PGresult *result;

	seal_count_name(seal, name); /* letters and digits need no quoting */
	(void)snprintf(sql, sizeof sql,
		"SELECT key, value FROM pierre_meta WHERE key IN ('key_check', 'key_check_next', "
		"'%s')",
		name);
	result = connect_question(pq, sql);
	if (PQresultStatus(result) == PGRES_TUPLES_OK && PQnfields(result) == 2)
		return result;
	(void)query_refused(pq, result, "what is stored about the key cannot be read", err);
	PQclear(result);
	return NULL;
}

/* The value is base64 with a colon. `replace`: overwrite an existing one. */
static int store_check(
	PGconn *pq, const char *name, const char *value, bool replace, struct err *err)
{
	char sql[320];
	PGresult *result;
	bool good;

	(void)snprintf(sql, sizeof sql,
		"INSERT INTO pierre_meta (key, value) VALUES ('%s', '%s') ON CONFLICT (key) DO %s",
		name, value, replace ? "UPDATE SET value = EXCLUDED.value" : "NOTHING");
	result = connect_question(pq, sql);
	good = PQresultStatus(result) == PGRES_COMMAND_OK;
	if (!good)
		(void)query_refused(pq, result, "the key's check value cannot be stored", err);
	PQclear(result);
	return good ? 0 : -1;
}

/* Checks the keys against the stored check values, and makes the missing ones. */
static int postgres_keys_prove(
	PGconn *pq, struct seal *seal, char check[128], char next[128], struct err *err)
{
	char name[SEAL_COUNT_NAME];
	PGresult *result = postgres_keys_read_meta(pq, seal, err);
	int code = -1;

	if (result == NULL)
		return -1;
	const struct rotation_checks checks = {postgres_keys_value_of(result, "key_check"),
		postgres_keys_value_of(result, "key_check_next")};
	seal_count_name(seal, name);
	if (rotation_prove(seal, &checks, err) == 0) {
		const char *count = postgres_keys_value_of(result, name);

		seal_count_start(seal, count != NULL ? strtoull(count, NULL, 10) : 0);
		rotation_begin_checks(seal, &checks, check, next);
		code = 0;
	}
	PQclear(result);
	return code;
}

int keys_prove_key_only(PGconn *pq, struct seal *seal, struct err *err)
{
	char check[128], next[128];

	return postgres_keys_prove(pq, seal, check, next, err);
}

int keys_prove_key(PGconn *pq, struct seal *seal, struct err *err)
{
	char check[128], next[128];

	if (postgres_keys_prove(pq, seal, check, next, err) < 0)
		return -1;
	if (check[0] == '\0' && next[0] == '\0')
		return 0;
	if ((check[0] != '\0' && store_check(pq, "key_check", check, false, err) < 0) ||
		(next[0] != '\0' && store_check(pq, "key_check_next", next, true, err) < 0))
		return -1;
	/* Another daemon may have stored another key's value first. The value now in the table
	 * counts. */
	return postgres_keys_prove(pq, seal, check, next, err);
}

int keys_count_seals(
	PGconn *pq, const struct seal *seal, uint64_t added, uint64_t *stored, struct err *err)
{
	char name[SEAL_COUNT_NAME], number[24];
	const char *const values[] = {name, number};
	PGresult *result;

	seal_count_name(seal, name);
	(void)snprintf(number, sizeof number, "%" PRIu64, added);
	result = query_run(pq,
		"INSERT INTO pierre_meta AS m (key, value) VALUES ($1, $2) ON CONFLICT (key) DO "
		"UPDATE SET "
		"value = (m.value::bigint + $2::bigint)::text RETURNING value",
		2, values, err);
	if (result == NULL)
		return -1;
	*stored = PQntuples(result) == 1 ? strtoull(PQgetvalue(result, 0, 0), NULL, 10) : 0;
	PQclear(result);
	return 0;
}

static void postgres_keys_read_token(
	const PGresult *rows, int row, int which, struct rotation_token *token)
{
	int column = 1 + which * ROTATION_TOKEN_COLUMNS;

	*token = (struct rotation_token){
		.user = PQgetvalue(rows, row, 0), .provider = catalog_providers[which].name};
	for (int i = 0; i < 3; i++) {
		token->stored[i] = PQgetisnull(rows, row, column + i)
			? NULL
			: PQgetvalue(rows, row, column + i);
		token->length[i] = (size_t)PQgetlength(rows, row, column + i);
	}
	token->whole = PQgetvalue(rows, row, column + 3)[0] == 't';
}

int keys_postgres_each_token(PGconn *pq,
	int (*each)(void *argument, const struct rotation_token *token), void *argument,
	struct err *err)
{
	char sql[ROTATION_SQL_MAX];
	int result, rows = 1;

	rotation_rows_sql("DECLARE tokens NO SCROLL CURSOR FOR ", "ORDER BY id", sql);
	result = query_execute(pq, sql, 0, NULL, err);
	while (result == 0 && rows > 0) {
		PGresult *some = query_run(pq, "FETCH 500 FROM tokens", 0, NULL, err);

		if (some == NULL)
			return -1;
		rows = PQntuples(some);
		for (int row = 0; row < rows && result == 0; row++)
			for (int which = 0; catalog_providers[which].name != NULL && result == 0;
				which++) {
				struct rotation_token token;

				postgres_keys_read_token(some, row, which, &token);
				result = each(argument, &token);
			}
		PQclear(some);
	}
	return result;
}

static void add_token_text(struct buffer *out, const char *name, const char *text, size_t length)
{
	json_add_name(out, name);
	json_write_string(out, text, length);
}

/* Appends an object of the array that the statement below unpacks. */
static void postgres_keys_write_token(struct buffer *out, const struct rotation_token *token)
{
	static const char *const names[] = {"a", "r", "n"}, *const old_names[] = {"oa", "ob", "oc"};

	if (out->length == 0)
		json_add_array(out, NULL);
	json_add_object(out, NULL);
	json_add_text(out, "id", token->user);
	for (int i = 0; i < 3; i++) {
		add_token_text(out, names[i], token->sealed[i], token->sealed_length[i]);
		add_token_text(out, old_names[i], token->stored[i], token->length[i]);
	}
	json_add_end(out, '}');
}

/* Writes all tokens of one provider in one statement, each only if it is unchanged. */
static int write_tokens(PGconn *pq, struct rotation *rotation, const char *provider,
	struct buffer *tokens, uint64_t count, struct err *err)
{
	const char *const values[] = {tokens->data};
	char set[ROTATION_SQL_MAX], sql[ROTATION_SQL_MAX + 700];
	PGresult *result;

	buffer_append(tokens, "]", 2); /* with its NUL */
	if (tokens->failure != BUFFER_OK)
		return err_set(err, ERR_INTERNAL, "out of memory");
	/* Locks the rows in the same order as all other statements. */
	rotation_set_sql(provider, "u.", (const char *const[3]){"v.a", "v.r", "v.n"}, set);
	(void)snprintf(sql, sizeof sql,
		"WITH v AS MATERIALIZED (SELECT v.* FROM jsonb_to_recordset($1::jsonb) "
		"AS v(id uuid, a text, r text, n text, oa text, ob text, oc text)), "
		"held AS MATERIALIZED (SELECT id FROM users WHERE id IN (SELECT id FROM v) ORDER "
		"BY id FOR NO KEY UPDATE) "
		"UPDATE users AS u SET %s FROM v JOIN held USING (id) "
		"WHERE u.id = v.id AND u.%s_access_token = v.oa AND u.%s_refresh_token = v.ob "
		"AND u.%s_nonce = v.oc",
		set, provider, provider, provider);
	for (int tries = 0;; tries++) {
		result = connect_query(pq, sql, 1, values);
		if (PQresultStatus(result) == PGRES_COMMAND_OK || !result_in_class(result, "40") ||
			tries == STEP_TRIES)
			break;
		PQclear(result); /* a deadlock with another transaction */
	}
	if (PQresultStatus(result) != PGRES_COMMAND_OK) {
		(void)query_failed(pq, result, err);
		PQclear(result);
		return -1;
	}
	rotation_wrote(rotation, count, strtoull(PQcmdTuples(result), NULL, 10));
	PQclear(result);
	return 0;
}

/* The tokens of one provider in these rows. */
static int do_provider(PGconn *pq, struct rotation *rotation, struct seal *seal,
	const PGresult *rows, int which, struct err *err)
{
	struct arena arena = {.wipe = true};
	struct buffer tokens = {0};
	uint64_t count = 0;
	int result = 0;

	for (int row = 0; row < PQntuples(rows) && result >= 0; row++) {
		struct rotation_token token;

		postgres_keys_read_token(rows, row, which, &token);
		result = rotation_look(rotation, seal, &arena, &token, err);
		if (result > 0) {
			postgres_keys_write_token(&tokens, &token);
			count++;
		}
	}
	if (result >= 0 && count > 0)
		result = write_tokens(
			pq, rotation, catalog_providers[which].name, &tokens, count, err);
	buffer_free(&tokens);
	arena_free(&arena);
	return result < 0 ? -1 : 0;
}

/* Everything is under the current key: from now on it alone is used. */
static int postgres_keys_write_end(PGconn *pq, const struct seal *seal, struct err *err)
{
	char check[128];
	const char *const values[] = {check};
	PGresult *stored = postgres_keys_read_meta(pq, seal, err);
	bool current;

	if (stored == NULL)
		return err_set(err, ERR_UNAVAILABLE, "the connection to the database was lost");
	const char *old = postgres_keys_value_of(stored, "key_check");
	current = old != NULL && seal_check_matches(seal, old, strlen(old)) &&
		postgres_keys_value_of(stored, "key_check_next") == NULL;
	PQclear(stored);
	if (current)
		return 0;
	(void)seal_check_make(seal, check);
	return query_execute(pq,
		"WITH gone AS (DELETE FROM pierre_meta WHERE key = 'key_check_next') INSERT INTO "
		"pierre_meta (key, value) "
		"VALUES ('key_check', $1) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value",
		1, values, err);
}

static int count_users(PGconn *pq, struct rotation *rotation, struct err *err)
{
	PGresult *result = query_run(pq, "SELECT count(*) FROM users", 0, NULL, err);

	if (result == NULL)
		return -1;
	rotation->users = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	return 0;
}

int keys_bind(PGconn *pq, struct rotation *rotation, struct err *err)
{
	enum binding_format format;

	if (format_read(pq, &format, err) < 0)
		return -1;
	if (format != BINDING_NONE)
		return 0;
	rotation_begin_binding(rotation);
	return format_set(pq, BINDING_CHANGES, err);
}

/* 1: the step is done; 0: the users follow. */
static int postgres_keys_bind_step(
	PGconn *pq, enum binding_format format, struct rotation *next, struct err *err)
{
	uint64_t found;

	if (format == BINDING_CHANGES && !next->settled &&
		(format_settle(pq, "users", err) < 0 || format_settle(pq, "a2a_sessions", err) < 0))
		return -1;
	next->settled = true;
	if (next->hashed)
		return 0;
	if (format_hash_sessions(pq, &found, err) < 0)
		return -1;
	rotation_hashed(next, found);
	return found > 0;
}

/* The users of one step. */
static int postgres_keys_users(
	PGconn *pq, struct seal *seal, struct rotation *next, unsigned *count, struct err *err)
{
	const char *const values[] = {next->after};
	char sql[ROTATION_SQL_MAX];
	bool first = next->after[0] == '\0';
	PGresult *rows;
	int result = 0;

	rotation_rows_sql("",
		first ? "ORDER BY id LIMIT 100" : "WHERE id > $1::uuid ORDER BY id LIMIT 100", sql);
	rows = query_run(pq, sql, first ? 0 : 1, first ? NULL : values, err);
	if (rows == NULL)
		return -1;
	for (int which = 0; catalog_providers[which].name != NULL && result == 0; which++)
		result = do_provider(pq, next, seal, rows, which, err);
	for (int row = 0; row < PQntuples(rows) && result == 0; row++)
		result = rotation_passed(next, PQgetvalue(rows, row, 0), err);
	*count = (unsigned)PQntuples(rows);
	PQclear(rows);
	return result;
}

static int rotate_users(
	const struct store_settings *settings, PGconn *pq, struct rotation *next, struct err *err)
{
	struct seal *seal = settings->seal;
	unsigned count;

	rotation_step(next);
	if ((next->users == 0 && count_users(pq, next, err) < 0) ||
		postgres_keys_users(pq, seal, next, &count, err) < 0)
		return -1;
	if (!rotation_ended(next, count))
		return 0;
	if (postgres_keys_write_end(pq, seal, err) < 0)
		return -1;
	if (seal_format(seal) != BINDING_CHANGES)
		return 0;
	if (format_set(pq, BINDING_ALL, err) < 0)
		return -1;
	rotation_follow_format(settings, BINDING_ALL);
	return 0;
}

int keys_postgres_rotate(const struct store_settings *settings, PGconn *pq,
	struct rotation *rotation, struct err *err)
{
	struct rotation next = *rotation;
	struct seal *seal = settings->seal;
	enum binding_format format;
	uint64_t stored, added;
	int result;

	rotation_begin_call(&next);
	if (format_read(pq, &format, err) < 0)
		return -1;
	rotation_follow_format(settings, format);
	result = format != BINDING_NONE ? postgres_keys_bind_step(pq, format, &next, err) : 0;
	if (result == 0)
		result = rotate_users(settings, pq, &next, err);
	added = seal_count_wanted(seal);
	if (added > 0 && keys_count_seals(pq, seal, added, &stored, NULL) == 0)
		seal_count_stored(seal, added, stored);
	else if (added > 0)
		seal_count_failed(seal);
	if (result < 0)
		return -1;
	*rotation = next;
	return 0;
}
