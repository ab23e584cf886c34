#include "keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "upkeep/session_tokens.h"

/* A value of pierre_meta, which the caller frees; NULL: none. */
static int sqlite_keys_read_meta(
	struct session *session, const char *key, char **value, struct err *err)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(
		session->db, "SELECT value FROM pierre_meta WHERE key = ?1", -1, &statement, NULL);

	*value = NULL;
	if (code == SQLITE_OK)
		code = sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(statement, 0);

		*value = text != NULL ? strdup(text) : NULL;
		code = *value != NULL ? SQLITE_DONE : SQLITE_NOMEM;
	}
	sqlite3_finalize(statement);
	return code == SQLITE_DONE
		? 0
		: session_failed(session, "what is stored about the key cannot be read", err);
}

static int write_meta(struct session *session, const char *key, const char *value)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(session->db,
		value != NULL ? "INSERT OR REPLACE INTO pierre_meta (key, value) VALUES (?1, ?2)"
			      : "DELETE FROM pierre_meta WHERE key = ?1",
		-1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
	if (code == SQLITE_OK && value != NULL)
		code = sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = session_step(statement);
	sqlite3_finalize(statement);
	return code;
}

int keys_write_format(struct session *session, enum binding_format format)
{
	return write_meta(session, "token_format", binding_name(format));
}

/* -1: no token, -2: unreadable; otherwise whether one of the first few opens. A single damaged
 * token must not prevent the start. */
static int opens_a_token(struct session *session, const char *provider)
{
	char sql[512];
	sqlite3_stmt *statement;
	int result = -1;

	sqlite3_snprintf(sizeof sql, sql,
		"SELECT %s_access_token, %s_nonce, id FROM users WHERE %s_access_token IS NOT NULL "
		"AND %s_refresh_token IS NOT NULL AND "
		"%s_expires_at IS NOT NULL AND %s_scope IS NOT NULL AND %s_nonce IS NOT NULL "
		"LIMIT 16",
		provider, provider, provider, provider, provider, provider, provider);
	int code = sqlite3_prepare_v2(session->db, sql, -1, &statement, NULL);

	if (code != SQLITE_OK)
		return -2;
	while (result != 1 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct arena arena = {.wipe = true};
		const struct rotation_token token = {
			.user = (const char *)sqlite3_column_text(statement, 2),
			.provider = provider};
		struct binding_owner owner;
		const char *plain;
		size_t length;

		if (token.user == NULL) {
			result = 0;
			continue;
		}
		rotation_own(&owner, &token);
		result = seal_open(session->seal, &owner, &arena,
				 (const char *)sqlite3_column_text(statement, 0),
				 (size_t)sqlite3_column_bytes(statement, 0),
				 (const char *)sqlite3_column_text(statement, 1),
				 (size_t)sqlite3_column_bytes(statement, 1), 0, &plain, &length,
				 NULL) == 0;
		arena_free(&arena);
	}
	sqlite3_finalize(statement);
	return code == SQLITE_ROW || code == SQLITE_DONE ? result : -2;
}

static int read_checks(struct session *session, char *check[2], struct err *err)
{
	int there = session_find_table(session, "pierre_meta");

	check[0] = check[1] = NULL;
	if (there <= 0)
		return there == 0 ? 0
				  : session_failed(session,
					    "what is stored about the key cannot be read", err);
	return sqlite_keys_read_meta(session, "key_check", &check[0], err) < 0
		? -1
		: sqlite_keys_read_meta(session, "key_check_next", &check[1], err);
}

static void free_checks(char *check[2])
{
	free(check[0]);
	free(check[1]);
}

/* Without a check value, one token that opens is enough, from any provider. */
static int prove_by_tokens(struct session *session, struct err *err)
{
	bool opened = false, sealed = false, failed = false;

	for (const struct token_provider *provider = catalog_providers;
		provider->name != NULL && !opened; provider++) {
		int found = opens_a_token(session, provider->name);

		opened = found == 1;
		sealed = sealed || found == 0;
		failed = failed || found == -2;
	}
	if (failed)
		return session_failed(session, "the tokens cannot be read", err);
	if (sealed && !opened)
		return err_exit(err, EX_NOPERM,
			"the encryption key does not open the tokens in this database: "
			"they were sealed "
			"with another key");
	return 0;
}

int keys_read_format(struct session *session, enum binding_format *format, struct err *err)
{
	int there = session_find_table(session, "pierre_meta");
	char *name = NULL;

	*format = BINDING_NONE;
	if (there == 0)
		return 0;
	if (there < 0)
		return session_failed(session, "the format of the tokens cannot be read", err);
	if (sqlite_keys_read_meta(session, "token_format", &name, err) < 0)
		return -1;
	*format = binding_named(name);
	free(name);
	return 0;
}

static int sqlite_follow_format(struct session *session, struct err *err)
{
	enum binding_format format;

	if (keys_read_format(session, &format, err) < 0)
		return -1;
	if (session->seal != NULL)
		seal_set_format(session->seal, format, true);
	return 0;
}

int keys_prove(struct session *session, struct err *err)
{
	char *check[2];
	int result;

	if (session_integer(session, "SELECT count(*) FROM sqlite_schema") < 0)
		return session_failed(session, "the database cannot be read", err);
	result = read_checks(session, check, err);
	if (result == 0)
		result = sqlite_follow_format(session, err);
	if (result == 0)
		result = rotation_prove(
			session->seal, &(struct rotation_checks){check[0], check[1]}, err);
	if (result == 0 && check[0] == NULL && session_has_table(session, "users"))
		result = prove_by_tokens(session, err);
	free_checks(check);
	return result;
}

static int read_count(struct session *session, struct err *err)
{
	char name[SEAL_COUNT_NAME], *value;

	seal_count_name(session->seal, name);
	if (sqlite_keys_read_meta(session, name, &value, err) < 0)
		return -1;
	seal_count_start(session->seal, value != NULL ? strtoull(value, NULL, 10) : 0);
	free(value);
	return 0;
}

int keys_begin(struct session *session, struct err *err)
{
	char *check[2], made[2][128];
	int code = SQLITE_OK;

	if (sqlite_follow_format(session, err) < 0)
		return -1;
	if (read_checks(session, check, err) < 0) {
		free_checks(check);
		return -1;
	}
	rotation_begin_checks(
		session->seal, &(struct rotation_checks){check[0], check[1]}, made[0], made[1]);
	free_checks(check);
	if (made[0][0] != '\0')
		code = write_meta(session, "key_check", made[0]);
	if (code == SQLITE_OK && made[1][0] != '\0')
		code = write_meta(session, "key_check_next", made[1]);
	if (code != SQLITE_OK)
		return session_failed(session, "the key check value cannot be stored", err);
	return read_count(session, err);
}

uint64_t keys_count(struct session *session, uint64_t *stored)
{
	uint64_t added = seal_count_wanted(session->seal);
	sqlite3_stmt *statement = NULL;
	char name[SEAL_COUNT_NAME];
	int code;

	if (added == 0)
		return 0;
	seal_count_name(session->seal, name);
	code = sqlite3_prepare_v2(session->db,
		"INSERT INTO pierre_meta (key, value) VALUES (?1, CAST(?2 AS TEXT)) ON CONFLICT "
		"(key) DO UPDATE SET "
		"value = CAST(CAST(value AS INTEGER) + ?2 AS TEXT) RETURNING CAST(value AS "
		"INTEGER)",
		-1, &statement, NULL);
	if (code == SQLITE_OK) {
		(void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(statement, 2, (int64_t)added);
		code = sqlite3_step(statement);
	}
	if (code == SQLITE_ROW) {
		*stored = (uint64_t)sqlite3_column_int64(statement, 0);
		code = sqlite3_step(statement);
	}
	sqlite3_finalize(statement);
	if (code == SQLITE_DONE)
		return added;
	seal_count_failed(session->seal);
	return 0;
}

static int prepare_rows(struct session *session, sqlite3_stmt **statement)
{
	char sql[ROTATION_SQL_MAX];

	rotation_rows_sql("", "WHERE id > ?1 ORDER BY id LIMIT ?2", sql);
	return sqlite3_prepare_v2(session->db, sql, -1, statement, NULL);
}

/* -1: out of memory, which must not look like a missing token. */
static int sqlite_keys_read_token(sqlite3_stmt *row, int which, struct rotation_token *token)
{
	int column = 1 + which * ROTATION_TOKEN_COLUMNS;

	*token = (struct rotation_token){.user = (const char *)sqlite3_column_text(row, 0),
		.provider = catalog_providers[which].name};
	for (int i = 0; i < 3; i++) {
		token->stored[i] = (const char *)sqlite3_column_text(row, column + i);
		token->length[i] = (size_t)sqlite3_column_bytes(row, column + i);
		if (token->stored[i] == NULL && sqlite3_column_type(row, column + i) != SQLITE_NULL)
			return -1;
	}
	token->whole = sqlite3_column_int(row, column + 3) != 0;
	return token->user != NULL ? 0 : -1;
}

int keys_each_token(struct session *session,
	int (*each)(void *argument, const struct rotation_token *token), void *argument,
	struct err *err)
{
	sqlite3_stmt *statement = NULL;
	int code = prepare_rows(session, &statement), result = 0;

	if (code == SQLITE_OK)
		code = sqlite3_bind_text(statement, 1, "", 0, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int(statement, 2, -1); /* all */
	while (result == 0 && code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		for (int which = 0; catalog_providers[which].name != NULL && result == 0; which++) {
			struct rotation_token token;

			result = sqlite_keys_read_token(statement, which, &token) < 0
				? session_failed(session, "the tokens cannot be read", err)
				: each(argument, &token);
		}
		code = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	return result < 0 || code == SQLITE_DONE
		? result
		: session_failed(session, "the tokens cannot be read", err);
}

/* The statements of one step; each update is prepared when first needed. */
struct statements {
	sqlite3_stmt *rows, *update[ROTATION_PROVIDERS_MAX];
};

static void end_statements(struct statements *statements)
{
	sqlite3_finalize(statements->rows);
	for (int which = 0; which < ROTATION_PROVIDERS_MAX; which++)
		sqlite3_finalize(statements->update[which]);
}

/* Replaces a token only if it is unchanged. Within the transaction nothing else can write, but the
 * statement does not rely on that. */
static int make_update(struct session *session, const char *provider, sqlite3_stmt **update)
{
	char set[ROTATION_SQL_MAX], sql[ROTATION_SQL_MAX + 200];

	rotation_set_sql(provider, "", (const char *const[3]){"?1", "?2", "?3"}, set);
	(void)snprintf(sql, sizeof sql,
		"UPDATE users SET %s WHERE id = ?4 AND "
		"%s_access_token = ?5 AND %s_refresh_token = ?6 AND %s_nonce = ?7",
		set, provider, provider, provider);
	return sqlite3_prepare_v2(session->db, sql, -1, update, NULL);
}

static int sqlite_keys_write_token(struct session *session, sqlite3_stmt **update,
	const struct rotation_token *token, uint64_t *changed)
{
	int code = *update != NULL ? SQLITE_OK : make_update(session, token->provider, update);

	for (int i = 0; i < 3 && code == SQLITE_OK; i++) {
		code = sqlite3_bind_text64(*update, i + 1, token->sealed[i],
			token->sealed_length[i], SQLITE_STATIC, SQLITE_UTF8);
		if (code == SQLITE_OK)
			code = sqlite3_bind_text64(*update, i + 5, token->stored[i],
				token->length[i], SQLITE_STATIC, SQLITE_UTF8);
	}
	if (code == SQLITE_OK)
		code = sqlite3_bind_text(*update, 4, token->user, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = session_step(*update);
	*changed += code == SQLITE_OK ? (uint64_t)sqlite3_changes64(session->db) : 0;
	if (*update != NULL)
		(void)sqlite3_clear_bindings(*update); /* they point into the row and the arena */
	return code;
}

/* Reads the whole row before writing: its texts belong to the statement, which is not stepped
 * meanwhile. */
static int do_row(struct session *session, struct rotation *rotation, struct statements *statements,
	struct err *err)
{
	const char *user = (const char *)sqlite3_column_text(statements->rows, 0);
	struct arena arena = {.wipe = true};
	uint64_t tried = 0, changed = 0;
	int result = user != NULL
		? 0
		: err_set(err, ERR_STORAGE, "the database holds a user without an id");

	for (int which = 0; catalog_providers[which].name != NULL && result == 0; which++) {
		struct rotation_token token;

		if (sqlite_keys_read_token(statements->rows, which, &token) < 0) {
			result = err_set(err, ERR_INTERNAL, "out of memory");
			break;
		}
		result = rotation_look(rotation, session->seal, &arena, &token, err);
		if (result <= 0)
			continue;
		tried++;
		result = 0;
		if (sqlite_keys_write_token(
			    session, &statements->update[which], &token, &changed) != SQLITE_OK)
			result = err_set(err, ERR_STORAGE, "%s",
				session_reason(sqlite3_extended_errcode(session->db)));
	}
	rotation_wrote(rotation, tried, changed);
	if (result == 0)
		result = rotation_passed(rotation, user, err);
	arena_free(&arena);
	return result;
}

static int do_rows(
	struct session *session, struct rotation *rotation, unsigned *rows, struct err *err)
{
	struct statements statements = {0};
	int code = prepare_rows(session, &statements.rows), result = 0;

	if (code == SQLITE_OK)
		code = sqlite3_bind_text(statements.rows, 1, rotation->after, -1, SQLITE_TRANSIENT);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int(statements.rows, 2, ROTATION_ROWS);
	while (result == 0 && code == SQLITE_OK &&
		(code = sqlite3_step(statements.rows)) == SQLITE_ROW) {
		result = do_row(session, rotation, &statements, err);
		(*rows)++;
		code = SQLITE_OK;
	}
	end_statements(&statements);
	if (result == 0 && code != SQLITE_DONE)
		result = err_set(err, ERR_STORAGE, "%s", session_reason(code));
	return result;
}

/* Everything is under the current key: from now on it alone is used. */
static int sqlite_keys_write_end(struct session *session, struct err *err)
{
	char *check[2], made[128];
	int code = SQLITE_OK;

	if (read_checks(session, check, err) < 0) {
		free_checks(check);
		return -1;
	}
	if (check[0] == NULL || !seal_check_matches(session->seal, check[0], strlen(check[0]))) {
		(void)seal_check_make(session->seal, made);
		code = write_meta(session, "key_check", made);
	}
	if (code == SQLITE_OK && check[1] != NULL)
		code = write_meta(session, "key_check_next", NULL);
	free_checks(check);
	return code == SQLITE_OK ? 0 : err_set(err, ERR_STORAGE, "%s", session_reason(code));
}

static int failed_step(struct session *session, struct err *err)
{
	return err_set(
		err, ERR_STORAGE, "%s", session_reason(sqlite3_extended_errcode(session->db)));
}

/* 1: the step is done; 0: the users follow. */
static int binding_step(struct session *session, struct rotation *next, bool bind,
	enum binding_format *format, struct err *err)
{
	uint64_t found;

	if (keys_read_format(session, format, err) < 0)
		return failed_step(session, err);
	if (bind && *format == BINDING_NONE) {
		*format = BINDING_CHANGES;
		rotation_begin_binding(next);
		return keys_write_format(session, *format) == SQLITE_OK ? 1
									: failed_step(session, err);
	}
	if (*format == BINDING_NONE || next->hashed)
		return 0;
	if (session_tokens_hash(session, &found, err) < 0)
		return -1;
	rotation_hashed(next, found);
	return found > 0;
}

int keys_step(struct session *session, struct rotation *next, bool bind,
	enum binding_format *format, struct err *err)
{
	unsigned rows = 0;
	int result;

	rotation_begin_call(next);
	result = binding_step(session, next, bind, format, err);
	if (result != 0)
		return result < 0 ? -1 : 0;
	rotation_step(next);
	if (next->users == 0) {
		int64_t users = session_integer(session, "SELECT count(*) FROM users");

		if (users < 0)
			return failed_step(session, err);
		next->users = (uint64_t)users;
	}
	if (do_rows(session, next, &rows, err) < 0)
		return -1;
	if (!rotation_ended(next, rows))
		return 0;
	if (sqlite_keys_write_end(session, err) < 0)
		return -1;
	if (*format != BINDING_CHANGES)
		return 0;
	*format = BINDING_ALL;
	return keys_write_format(session, *format) == SQLITE_OK ? 0 : failed_step(session, err);
}
