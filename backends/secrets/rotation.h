/* Key rotation: tokens sealed by the previous key are sealed again under the current key, some rows
 * at a time, while calls continue. The change to bound tokens works the same way, and also replaces
 * session tokens by their hashes. Its beginning and its end are stored in the database, which
 * refuses tokens of the old format in between and from then on.
 *
 * Shared by both backends: progress of a pass, the decision for each row, log lines. A pass visits
 * every user by ascending id. Passes repeat until one finds that the current key opens everything.
 *
 * No progress is stored for a restart: whichever key fits opens a row. Thread: one at a time. */
#ifndef PIERRE_ROTATION_H
#define PIERRE_ROTATION_H

#include "../../protocol/buffer.h"
#include "seal.h"

/* Max users, or sessions, in one transaction: short enough not to delay other transactions. */
enum { ROTATION_ROWS = 100, ROTATION_EXAMPLES = 20, ROTATION_ID_MAX = 128 };

enum rotation_state {
	ROTATION_RUNNING,
	ROTATION_FINISHED, /* a whole pass found everything under the current key */
	ROTATION_BLOCKED,  /* a whole pass left only tokens that no key opens */
};

struct rotation {
	enum rotation_state state;
	bool begun; /* a pass is in progress, past the user `after` */
	char after[ROTATION_ID_MAX];
	uint64_t pass, users; /* count of users when the pass began */
	uint64_t checked, dirty,
		unreadable; /* in this pass; dirty: sealed again, or changed concurrently */
	uint64_t resealed;  /* in the last call */
	uint64_t sessions;  /* session tokens hashed in the last call */
	bool settled;       /* BINDING_CHANGES: no transaction is left that began before */
	bool hashed;        /* not BINDING_NONE: no session token is left that is no hash */
	struct {
		char user[ROTATION_ID_MAX], provider[8];
	} examples[ROTATION_EXAMPLES];
};

/* One provider's token of a row: access, refresh, nonce as stored; NULL for a NULL column. `whole`:
 * all five columns are set. */
struct rotation_token {
	const char *user, *provider;
	const char *stored[3];
	size_t length[3];
	bool whole;
	const char *sealed[3]; /* under the current key, in the arena */
	size_t sealed_length[3];
};

/* Whose it is. */
void rotation_own(struct binding_owner *owner, const struct rotation_token *token);
/* Before a transaction: nothing is counted for this call. */
void rotation_begin_call(struct rotation *rotation);
/* The tokens' format changes from now on: a pass begins anew. */
void rotation_begin_binding(struct rotation *rotation);
/* Some sessions were looked at, `found` of them with a token to hash. */
void rotation_hashed(struct rotation *rotation, uint64_t found);
/* Before the users of a transaction: begins a pass if none is in progress. */
void rotation_step(struct rotation *rotation);
/* 1: write it if it is unchanged; 0: keep it; -1: err. */
int rotation_look(struct rotation *rotation, struct seal *seal, struct arena *arena,
	struct rotation_token *token, struct err *err);
/* `changed`: number of tokens actually written. */
void rotation_wrote(struct rotation *rotation, uint64_t tried, uint64_t changed);
/* The row is done; -1: its id is invalid. */
int rotation_passed(struct rotation *rotation, const char *user, struct err *err);
/* After the last row of a transaction. Returns true when everything is under the current key, which
 * the caller may then store. */
bool rotation_ended(struct rotation *rotation, unsigned rows);
/* Logs the end of a pass. */
struct store_settings;
void rotation_tell(const struct rotation *rotation, const struct store_settings *settings);
/* The database's format has become this one; logs a change. */
void rotation_follow_format(const struct store_settings *settings, enum binding_format format);
void rotation_describe(
	const struct rotation *rotation, const struct seal *seal, struct buffer *out);

/* The check values that a database holds: of the key in use, and, during a rotation, of the next
 * one. */
struct rotation_checks {
	const char *check, *next; /* NULL: none */
};

/* Whether one of the keys opens each check value. exit_code 77. */
int rotation_prove(const struct seal *seal, const struct rotation_checks *checks, struct err *err);
/* The values to store at start: sets *check and *next, or "" where nothing is to be stored. */
void rotation_begin_checks(const struct seal *seal, const struct rotation_checks *checks,
	char check[128], char next[128]);

/* One provider's columns in such a row, after the id and the tokens of earlier providers: access
 * token, refresh token, nonce, and whether the other two columns are set. */
enum { ROTATION_TOKEN_COLUMNS = 4, ROTATION_PROVIDERS_MAX = 8, ROTATION_SQL_MAX = 2048 };

/* The statement that reads the tokens of all providers, for both databases: before, the SELECT,
 * rest. */
void rotation_rows_sql(const char *before, const char *rest, char out[ROTATION_SQL_MAX]);

/* The assignments that replace a token: `texts` are the expressions of its access token, refresh
 * token and nonce, `table` is "" or the alias and a dot. The token's version stays: see
 * sql/tokens.sql. */
void rotation_set_sql(const char *provider, const char *table, const char *const texts[3],
	char out[ROTATION_SQL_MAX]);

#endif
