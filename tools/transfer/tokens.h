/* Tokens on their way: sealed anew where the two databases have different formats. */
#ifndef PIERRE_TRANSFER_TOKENS_H
#define PIERRE_TRANSFER_TOKENS_H

#include "../../backends/secrets/seal.h"
#include "../../protocol/arena.h"
#include "../../protocol/error.h"
#include "../../protocol/value.h"
#include "tables.h"

/* Whether the row says something about the source alone. */
bool tokens_stay(const struct table_of *table, const struct value *values);
/* Puts a row of a source into the format of the target, which is that of the seal. */
int tokens_convert(const struct table_of *table, struct value *values, enum binding_format source,
	struct seal *seal, struct arena *arena, struct err *err);
/* Opens the tokens of a row, and counts them. */
int tokens_open(const struct table_of *table, const struct value *values, struct seal *seal,
	struct arena *arena, uint64_t *opened, struct err *err);

#endif
