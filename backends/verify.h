/* The report on a whole database: its faults, and the tokens that the key opens. Made by
 * store_verify. Any thread; the database must not be open as a store. */
#ifndef PIERRE_VERIFY_H
#define PIERRE_VERIFY_H

#include "../protocol/buffer.h"
#include "secrets/seal.h"

struct verify_report {
	const char *backend;
	int64_t schema;       /* newest migration; 0: created by the software before this daemon */
	struct buffer tables; /* {"users":3,…}: rows of each table */
	struct buffer problems; /* "…","…": texts, as items of a JSON array */
	uint64_t problem_count, rows;
	uint64_t tokens, unreadable; /* tokens stored; tokens that no key opens */
	bool wrong_key;              /* from the key check value */
};

void verify_free(struct verify_report *report);

/* For the backends, which fill it. */
void verify_problem(struct verify_report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Tables come in alphabetical order, between verify_begin_tables and verify_end_tables. */
void verify_begin_tables(struct verify_report *report);
void verify_table(struct verify_report *report, const char *name, uint64_t rows);
void verify_end_tables(struct verify_report *report);
/* In a database whose tokens are bound: session tokens that are no hashes. */
void verify_session_tokens(struct verify_report *report, uint64_t plain);
struct rotation_token;
/* One stored token of a row; -1: out of memory. */
int verify_token(struct verify_report *report, struct seal *seal,
	const struct rotation_token *token, struct err *err);

/* The same as a callback for all tokens; argument: a struct verify_look. */
struct verify_look {
	struct verify_report *report;
	struct seal *seal;
	struct err *err;
};

int verify_look_at_token(void *argument, const struct rotation_token *token);

#endif
