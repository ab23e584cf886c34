/* Running a statement, as far as it is the same for each backend: computed values, sealing, rows to
 * answers, errors. Thread: the one that holds the call. */
#ifndef PIERRE_EXECUTE_H
#define PIERRE_EXECUTE_H

#include "call.h"
#include "secrets/seal.h"

/* The members of a transaction are prepared and restarted with it.
 *
 * Before the first attempt: fills the computed bind parameters (now, new ids, nonce …) and seals
 * the SEALED ones. Failure: call->err is set. */
int execute_prepare(struct call *call, struct seal *seal);
/* A call that was prepared for another format of the database's tokens (call->format): makes its
 * computed values anew, and those of its members. -1: call->err is set. */
int execute_follow_format(struct call *call, struct seal *seal);
/* COMPUTE_TOKEN_HASHED or COMPUTE_TOKEN_UNHASHED of a session token. False: out of memory. */
bool execute_token_value(
	struct arena *arena, enum compute compute, const struct value *token, struct value *value);

/* Before each attempt of a call that may have waited. Returns false and sets call->err when it must
 * not begin: its peer has lost the role, or it is a read whose client has disconnected. An accepted
 * write always runs. */
bool execute_admit(struct call *call);

/* Write the answer in this order: begin, row*, end. `columns` may change: sealed ones are opened in
 * place. */
int execute_begin(struct call *call);
int execute_row(struct call *call, struct seal *seal, struct value *columns);
/* touched: rows that a statement without result rows changed. Applies the row rules (not_found,
 * count, null). */
int execute_end(struct call *call, uint64_t touched);

/* Discards a partial answer; the call can then run again. */
void execute_restart(struct call *call);
/* Sets call->err and truncates the answer. */
int execute_fail(struct call *call, enum err_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The SQL has called unexpected(): the row is not as the caller expects it. */
int execute_unexpected(struct call *call);
/* A unique key already exists; `key` is the database's name for it, as in struct conflict. */
int execute_conflict(struct call *call, const char *key);
/* Sets a `storage` error for a value that its column cannot hold; names table and row. columns:
 * those read; NULL: none. */
int execute_bad_row(struct call *call, const struct value *columns, const char *column);
/* The same where the caller knows the row's id; "" means unknown. */
int execute_bad_value(struct call *call, const char *id, size_t length, const char *column);
/* A write of many rows (method->row_binds): how many, and one of them as the call's values. -1:
 * call->err is set. */
uint32_t execute_row_count(const struct call *call);
int execute_load_row(struct call *call, uint32_t row);
/* not_found: the member of that row names none; NULL: the method's first subject. */
int execute_no_parent(struct call *call, uint32_t row, const char *member);
int execute_no_row(struct call
		*call); /* not_found for method->subject; also for a foreign key without a row */

#endif
