/* Bind parameters in libpq's form.
 *
 * prefix: parameters_ */
#ifndef PIERRE_PG_PARAMETERS_H
#define PIERRE_PG_PARAMETERS_H

#include <stdbool.h>

#include "../../call.h"

struct postgres_store;

/* The values of one statement. They point into the call, into `room`, and into the store's
 * `sending` and `keys`, until these are reset. */
struct parameters {
	const char *values[CATALOG_MAX_VALUES];
	int lengths[CATALOG_MAX_VALUES], formats[CATALOG_MAX_VALUES];
	char room[CATALOG_MAX_VALUES][24];
};

/* Those of the call's statement. For many rows, each value of a row becomes an array. False: out of
 * memory. */
bool parameters_set(struct postgres_store *store, const struct call *call, struct parameters *to);
/* One array with the key of each of these look-ups of one method. False: out of memory. */
bool parameters_set_keys(struct postgres_store *store, struct call *const *calls, unsigned count,
	struct parameters *to);

#endif
