/* What is the same for every backend around running a statement: computed values, sealing, rows to
 * answer, errors. Thread: whichever holds the call. */
#ifndef PIERRE_EXECUTE_H
#define PIERRE_EXECUTE_H

#include "call.h"
#include "secrets/seal.h"

/* Before the first try: fills the computed bind parameters (now, new ids, nonce …) and seals SEALED
 * parameters. Failure: call->err is set. */
int execute_prepare(struct call *call, struct seal *seal);

/* Before each try, for a call that may have waited: false, with call->err set, when it must not
 * begin any more. Its peer has lost the role for it; or nobody waits for the answer, and it only
 * reads. A write that the store has got is carried out. */
bool execute_admit(struct call *call);

/* Answer writing, in this order: begin, row*, end. columns may be changed (opened in place). */
int execute_begin(struct call *call);
int execute_row(struct call *call, struct seal *seal, struct value *columns);
/* touched: rows that a statement without result rows changed. Applies the row rules (not_found,
 * count, null). */
int execute_end(struct call *call, uint64_t touched);

/* Undoes a half-written answer, so that the call can be run again. */
void execute_restart(struct call *call);
/* Sets call->err and cuts the answer. */
int execute_fail(struct call *call, enum err_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A unique key is taken; key is what the database calls it, as in struct conflict. */
int execute_conflict(struct call *call, const char *key);
/* `storage`: a stored value that its column cannot hold, named by table and row. columns: read so
 * far; NULL: none. */
int execute_bad_row(struct call *call, const struct value *columns, const char *column);
/* The same where the row's id is known; an empty one is unknown. */
int execute_bad_value(struct call *call, const char *id, size_t length, const char *column);
int execute_no_row(struct call *call); /* not_found about method->subject; also for a foreign key
                                          that names no row */

#endif
