/* Changing the key: tokens that the previous key has sealed are sealed anew under the key in use,
 * some rows at a time, while calls go on.
 *
 * What both backends share: where a pass stands, what becomes of a row, what is told. A pass looks
 * at every user in the order of ids; passes follow one another until one has found nothing that the
 * key in use does not open. Nothing of it needs to be remembered over a restart: each row is opened
 * by whichever key fits. Thread: one at a time. */
#ifndef PIERRE_ROTATION_H
#define PIERRE_ROTATION_H

#include "../../protocol/buffer.h"
#include "seal.h"

/* Users looked at in one transaction: short enough for others not to notice. */
enum { ROTATION_ROWS = 100, ROTATION_EXAMPLES = 20, ROTATION_ID_MAX = 128 };

enum rotation_state {
	ROTATION_RUNNING,
	ROTATION_FINISHED, /* a whole pass found everything under the key in use */
	ROTATION_BLOCKED,  /* a whole pass found nothing more to do, but tokens that no key opens */
};

struct rotation {
	enum rotation_state state;
	bool begun; /* a pass is under way, behind the user `after` */
	char after[ROTATION_ID_MAX];
	uint64_t pass, users; /* users: when the pass began */
	uint64_t checked, dirty,
		unreadable; /* of the pass; dirty: sealed anew, or changed by others meanwhile */
	uint64_t resealed;  /* by the last call */
	struct {
		char user[ROTATION_ID_MAX], provider[8];
	} examples[ROTATION_EXAMPLES];
};

/* One provider's token of a row: access, refresh, nonce as they are stored; NULL where the column
 * is. `whole`: all five columns are there. */
struct rotation_token {
	const char *user, *provider;
	const char *stored[3];
	size_t length[3];
	bool whole;
	const char *sealed[3]; /* under the key in use, in the arena */
	size_t sealed_length[3];
};

/* Before a transaction: begins a pass where none is under way. */
void rotation_step(struct rotation *rotation);
/* 1: to be written, if it is still what it was; 0: it stays; -1: err. */
int rotation_look(struct rotation *rotation, struct seal *seal, struct arena *arena,
	struct rotation_token *token, struct err *err);
/* `changed`: of the tokens to be written, those that were. */
void rotation_wrote(struct rotation *rotation, uint64_t tried, uint64_t changed);
/* The row is done with; -1: its id is no user's. */
int rotation_passed(struct rotation *rotation, const char *user, struct err *err);
/* After the last row of a transaction. True: everything is under the key in use now, and the
 * database may be told so. */
bool rotation_ended(struct rotation *rotation, unsigned rows);
/* The log, when a pass has come to an end. */
struct store_settings;
void rotation_tell(const struct rotation *rotation, const struct store_settings *settings);
void rotation_describe(
	const struct rotation *rotation, const struct seal *seal, struct buffer *out);

/* The check values that a database holds: of the key that everything may be under, and, while it is
 * being changed, of the next one. */
struct rotation_checks {
	const char *check, *next; /* NULL: there is none */
};

/* Does every one open, with one key or the other? exit_code 77. */
int rotation_prove(const struct seal *seal, const struct rotation_checks *checks, struct err *err);
/* What is to be stored at start: *check and *next are made, or "" where nothing is. */
void rotation_begin_checks(const struct seal *seal, const struct rotation_checks *checks,
	char check[128], char next[128]);

/* The columns of one provider's token in such a row, behind the id and the tokens of the providers
 * before it: access token, refresh token, nonce, and whether the other two columns are there as
 * well. */
enum { ROTATION_TOKEN_COLUMNS = 4, ROTATION_PROVIDERS_MAX = 8, ROTATION_SQL_MAX = 2048 };

/* The statement that reads the tokens of all providers, for both databases: before, the SELECT,
 * rest. */
void rotation_rows_sql(const char *before, const char *rest, char out[ROTATION_SQL_MAX]);

#endif
