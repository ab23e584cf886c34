/* Errors: one table of kinds, one struct on the caller's stack (or in a call).
 *
 * Every function that can fail has `struct err *` as its last parameter, sets it only on failure,
 * and returns -1 (0 on success). Libraries return errors; only the daemon logs them. Messages name
 * the fault and the value, and contain no secret and no SQL.
 *
 * Thread: no state of its own; safe from any thread on separate structs.
 *
 * prefix: err_ */
#ifndef PIERRE_ERROR_H
#define PIERRE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(ENUM, json-rpc code, wire name, retryable, meaning). The wire name is `error.data.kind`. */
#define ERROR_KINDS(X)                                                                             \
	X(PARSE_ERROR, -32700, "parse_error", false,                                               \
		"the line is not a JSON text the daemon accepts")                                  \
	X(INVALID_REQUEST, -32600, "invalid_request", false,                                       \
		"JSON, but not a valid request object")                                            \
	X(METHOD_NOT_FOUND, -32601, "method_not_found", false, "the method does not exist")        \
	X(INVALID_PARAMS, -32602, "invalid_params", false,                                         \
		"missing, unknown or ill-typed parameter")                                         \
	X(INTERNAL, -32603, "internal", false, "internal error; see `data.ref` in the log")        \
	X(NOT_FOUND, -32001, "not_found", false, "the referenced row does not exist")              \
	X(CONFLICT, -32002, "conflict", false,                                                     \
		"duplicate unique key, or unexpected version; see `data.field`")                   \
	X(UNAVAILABLE, -32003, "unavailable", true, "the database is temporarily unavailable")     \
	X(TIMEOUT, -32004, "timeout", false, "the call timed out; see `data.outcome`")             \
	X(PERMISSION_DENIED, -32005, "permission_denied", false,                                   \
		"this peer may not call this method")                                              \
	X(OVERLOADED, -32006, "overloaded", true, "too many connections")                          \
	X(TOO_LARGE, -32007, "too_large", false, "the line or the answer exceeds its limit")       \
	X(DECRYPTION_FAILED, -32008, "decryption_failed", false,                                   \
		"a stored token cannot be decrypted")                                              \
	X(STORAGE, -32009, "storage", false,                                                       \
		"disk full, I/O error, or a database that is read-only, corrupt or outdated")      \
	X(SHUTTING_DOWN, -32010, "shutting_down", true, "the daemon is shutting down")

enum err_kind {
	ERR_NONE = 0,
#define X(name, code, wire, retryable, meaning) ERR_##name,
	ERROR_KINDS(X)
#undef X
		ERR_KIND_COUNT
};

/* The possible effect of a failed write: X(ENUM, word). UNSET writes no `data.outcome`. */
#define ERROR_OUTCOMES(X) X(NONE, "none") X(UNKNOWN, "unknown")
enum err_outcome {
	OUTCOME_UNSET = 0,
#define X(name, word) OUTCOME_##name,
	ERROR_OUTCOMES(X)
#undef X
};

/* The members of `error.data` after `kind` and `retryable`, in order: X(member, form). The daemon's
 * writer and the client's reader are both built from this. A member has the same name in struct
 * err, in struct pierre_error and on the wire.
 *
 * Forms: text (omitted when empty), outcome (a word of ERROR_OUTCOMES), ref (16 hex digits; omitted
 * when 0), place (a number from 0; struct err holds it plus 1, and 0 is omitted). */
#define ERROR_MEMBERS(X)                                                                           \
	X(path, text) X(field, text) X(outcome, outcome) X(ref, ref) X(index, place)

enum { ERR_MESSAGE_MAX = 320, ERR_PATH_MAX = 160, ERR_FIELD_MAX = 32 };

struct err {
	enum err_kind kind;
	enum err_outcome outcome;
	int exit_code;                 /* sysexits.h code for errors at start; 0: none */
	uint64_t ref;                  /* `data.ref` of ERR_INTERNAL; 0 = none */
	unsigned index;                /* which call of a transaction failed, from 1; 0 = none */
	char message[ERR_MESSAGE_MAX]; /* NUL-terminated UTF-8, cut at a character when too long */
	char path[ERR_PATH_MAX];       /* `data.path`: "user.email"; "" = none */
	char field[ERR_FIELD_MAX];     /* `data.field` of a conflict; "" = none */
};

struct err_info {
	int code;         /* JSON-RPC error code */
	const char *name; /* wire name */
	bool retryable;
	const char *meaning;
};

/* The table's row for a kind (never NULL for a kind of the enum but ERR_NONE). */
const struct err_info *err_info(enum err_kind kind);

enum { ERR_REF_DIGITS = 16 };
/* A reference as shown in the log, the message and `data.ref`. */
void err_ref_format(uint64_t ref, char out[ERR_REF_DIGITS + 1]);
/* 0 when the text is not a reference. */
uint64_t err_ref_parse(const char *text);
/* "none", "unknown"; NULL for OUTCOME_UNSET. */
const char *err_outcome_word(enum err_outcome outcome);
/* OUTCOME_UNSET when the text is neither. */
enum err_outcome err_outcome_parse(const char *word);

/* Clears and fills *err. Returns -1; callers can `return err_set(...)`. err may be NULL. */
int err_set(struct err *err, enum err_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with data.path; path may be NULL. Both texts may contain user input (any valid
 * UTF-8). */
int err_set_path(struct err *err, enum err_kind kind, const char *path, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* An error at start-up, with main()'s exit code (sysexits.h). Only message and exit_code are
 * used. */
int err_exit(struct err *err, int exit_code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
