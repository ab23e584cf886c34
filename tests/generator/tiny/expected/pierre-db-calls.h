/* Made by protocol/generate.py from the catalog and the SQL files. Do not edit. */

/* The daemon's methods as C calls. Included by pierre-db.h, which documents their behaviour.
 *
 * A zeroed argument struct omits all optional members. NULL, or has_… being false, means that a member or
 * parameter is omitted. Times are microseconds since 1970-01-01T00:00:00Z. */
#ifndef PIERRE_DB_CALLS_H
#define PIERRE_DB_CALLS_H

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the method set, as returned by daemon.version. */
#define PIERRE_METHODS_VERSION "0.1.2"

/* Error kinds of the daemon: its JSON-RPC codes. */
enum pierre_daemon_kind {
	PIERRE_INVALID_PARAMS = -32602,  /* a bad parameter */
	PIERRE_NOT_FOUND = -32001,  /* the row does not exist */
	PIERRE_CONFLICT = -32002,  /* a unique key is taken */
	PIERRE_UNAVAILABLE = -32003,  /* no database */
	PIERRE_DECRYPTION_FAILED = -32008,  /* cannot be opened */
};

/* A colour. */
#define PIERRE_COLOUR_RED "red"
#define PIERRE_COLOUR_GREEN "green"

/* How big a thing is. */
struct pierre_size {
	/* In metres. */
	double width;
	/* As it was given. May be NULL. */
	const char *unit;
};

/* A thing. */
struct pierre_thing {
	/* The thing's id. */
	const char *id;
	/* Its colour. May be NULL. One of PIERRE_COLOUR_…. */
	const char *colour;
	/* Its size. May be NULL. */
	const struct pierre_size *size;
	/* The whole object as JSON text, with the members of the stored document that are not listed above. */
	const char *whole;
};

/* A token. */
struct pierre_token {
	/* One text. */
	const char *access_token;
	/* Another. */
	const char *refresh_token;
};

/* An account. */
struct pierre_account {
	/* Its number. */
	int64_t id;
	/* A hash. */
	const char *password_hash;
};

/* A thing to be. */
struct pierre_new_thing {
	/* The thing's id. Default: a new one. May be NULL. */
	const char *id;
	/* What stands on it. May be NULL. */
	const char *label;
	/* Which one it is. */
	bool has_number;
	uint16_t number;
	/* Its colour. Default: red. May be NULL. One of PIERRE_COLOUR_…. */
	const char *colour;
	/* Words. Default: none. May be NULL. */
	const char *const *tags;
	size_t tags_count;
	/* Whose it is. */
	const char *owner;
	/* When. Default: now. (µs) */
	bool has_made_at;
	int64_t made_at;
};

PIERRE_API void pierre_size_free(struct pierre_size *size); /* also frees an array; accepts NULL */
PIERRE_API void pierre_thing_free(struct pierre_thing *thing); /* also frees an array; accepts NULL */
PIERRE_API void pierre_token_free(struct pierre_token *token); /* also frees an array; accepts NULL */
PIERRE_API void pierre_account_free(struct pierre_account *account); /* also frees an array; accepts NULL */

/* Things --------------------------------------------------------------------------------------------------- */

/* Makes a thing; returns its id. *out: the text; free it with pierre_text_free. */
PIERRE_API int pierre_create_thing(struct pierre *db, const struct pierre_new_thing *thing, char **out,
	struct pierre_error *failure);
PIERRE_API int64_t pierre_create_thing_async(struct pierre *db, const struct pierre_new_thing *thing,
	pierre_done *done, void *userdata, struct pierre_error *failure);
PIERRE_API int pierre_create_thing_result(const struct pierre_answer *answer, char **out,
	struct pierre_error *failure);
PIERRE_API int pierre_add_create_thing(struct pierre_transaction *transaction,
	const struct pierre_new_thing *thing, struct pierre_error *failure);

/* Looks a thing up. Null when there is none. *out: the result, or NULL; free it with pierre_thing_free. */
PIERRE_API int pierre_get_thing(struct pierre *db, const char *id, struct pierre_thing **out,
	struct pierre_error *failure);
PIERRE_API int64_t pierre_get_thing_async(struct pierre *db, const char *id, pierre_done *done,
	void *userdata, struct pierre_error *failure);
PIERRE_API int pierre_get_thing_result(const struct pierre_answer *answer, struct pierre_thing **out,
	struct pierre_error *failure);
PIERRE_API int pierre_add_get_thing(struct pierre_transaction *transaction, const char *id,
	struct pierre_error *failure);

/* Lists things. Causal: a standby may answer it. *out: an array of *count (NULL when empty); free it with
 * pierre_thing_free. */
PIERRE_API int pierre_list_things(struct pierre *db, const char *colour, const uint32_t *limit,
	struct pierre_thing **out, size_t *count, struct pierre_error *failure);
PIERRE_API int64_t pierre_list_things_async(struct pierre *db, const char *colour, const uint32_t *limit,
	pierre_done *done, void *userdata, struct pierre_error *failure);
PIERRE_API int pierre_list_things_result(const struct pierre_answer *answer, struct pierre_thing **out,
	size_t *count, struct pierre_error *failure);
PIERRE_API int pierre_add_list_things(struct pierre_transaction *transaction, const char *colour,
	const uint32_t *limit, struct pierre_error *failure);

/* Stores a document. */
PIERRE_API int pierre_put_document(struct pierre *db, const char *id, const char *data,
	struct pierre_error *failure);
PIERRE_API int64_t pierre_put_document_async(struct pierre *db, const char *id, const char *data,
	pierre_done *done, void *userdata, struct pierre_error *failure);
PIERRE_API int pierre_put_document_result(const struct pierre_answer *answer, struct pierre_error *failure);
PIERRE_API int pierre_add_put_document(struct pierre_transaction *transaction, const char *id,
	const char *data, struct pierre_error *failure);

/* Removes what is old. */
PIERRE_API int pierre_sweep(struct pierre *db, uint32_t days, int64_t *out, struct pierre_error *failure);
PIERRE_API int64_t pierre_sweep_async(struct pierre *db, uint32_t days, pierre_done *done, void *userdata,
	struct pierre_error *failure);
PIERRE_API int pierre_sweep_result(const struct pierre_answer *answer, int64_t *out,
	struct pierre_error *failure);
PIERRE_API int pierre_add_sweep(struct pierre_transaction *transaction, uint32_t days,
	struct pierre_error *failure);

/* Secrets -------------------------------------------------------------------------------------------------- */

/* Stores a token. */
PIERRE_API int pierre_put_token(struct pierre *db, const char *user_id, const char *access_token,
	const char *refresh_token, struct pierre_error *failure);
PIERRE_API int64_t pierre_put_token_async(struct pierre *db, const char *user_id, const char *access_token,
	const char *refresh_token, pierre_done *done, void *userdata, struct pierre_error *failure);
PIERRE_API int pierre_put_token_result(const struct pierre_answer *answer, struct pierre_error *failure);
PIERRE_API int pierre_add_put_token(struct pierre_transaction *transaction, const char *user_id,
	const char *access_token, const char *refresh_token, struct pierre_error *failure);

/* Gives a token. *out: the result, or NULL; free it with pierre_token_free. */
PIERRE_API int pierre_get_token(struct pierre *db, const char *user_id, struct pierre_token **out,
	struct pierre_error *failure);
PIERRE_API int64_t pierre_get_token_async(struct pierre *db, const char *user_id, pierre_done *done,
	void *userdata, struct pierre_error *failure);
PIERRE_API int pierre_get_token_result(const struct pierre_answer *answer, struct pierre_token **out,
	struct pierre_error *failure);
PIERRE_API int pierre_add_get_token(struct pierre_transaction *transaction, const char *user_id,
	struct pierre_error *failure);

/* Makes an account. */
PIERRE_API int pierre_create_account(struct pierre *db, const char *password_hash, const char *password,
	int64_t *out, struct pierre_error *failure);
PIERRE_API int64_t pierre_create_account_async(struct pierre *db, const char *password_hash,
	const char *password, pierre_done *done, void *userdata, struct pierre_error *failure);
PIERRE_API int pierre_create_account_result(const struct pierre_answer *answer, int64_t *out,
	struct pierre_error *failure);
PIERRE_API int pierre_add_create_account(struct pierre_transaction *transaction, const char *password_hash,
	const char *password, struct pierre_error *failure);

/* Checks a password. *out: the result, or NULL; free it with pierre_account_free. */
PIERRE_API int pierre_verify_account(struct pierre *db, int64_t id, const char *password,
	struct pierre_account **out, struct pierre_error *failure);
PIERRE_API int64_t pierre_verify_account_async(struct pierre *db, int64_t id, const char *password,
	pierre_done *done, void *userdata, struct pierre_error *failure);
PIERRE_API int pierre_verify_account_result(const struct pierre_answer *answer, struct pierre_account **out,
	struct pierre_error *failure);
PIERRE_API int pierre_add_verify_account(struct pierre_transaction *transaction, int64_t id,
	const char *password, struct pierre_error *failure);

/* Tells about the program. *out: the text; free it with pierre_text_free. */
PIERRE_API int pierre_self_report(struct pierre *db, char **out, struct pierre_error *failure);
PIERRE_API int64_t pierre_self_report_async(struct pierre *db, pierre_done *done, void *userdata,
	struct pierre_error *failure);
PIERRE_API int pierre_self_report_result(const struct pierre_answer *answer, char **out,
	struct pierre_error *failure);

#ifdef __cplusplus
}
#endif

#endif
