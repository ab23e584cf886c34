/* Decodes the parameters of a request into values, by the method's table. All input is validated
 * here, before any database access.
 *
 * By name (object) or by position (array). Unknown, missing, ill-typed and out-of-range ones are
 * ERR_INVALID_PARAMS with the path of the member. Thread: no state. */
#ifndef PIERRE_DECODE_H
#define PIERRE_DECODE_H

#include "arena.h"
#include "catalog.h"
#include "error.h"
#include "json/json.h"

enum { DECODE_NO_PARAMS = 0 };

/* params: index of the params node in json, or DECODE_NO_PARAMS when the request has none (node 0
 * is the request itself). values: room for method->bind_count. Sets all bind parameters, computed
 * ones to unset. now: for DEFAULT_NOW.
 *
 * Texts point into json->text or the arena: json->text must live as long as the values. */
int decode_params(const struct method *method, const struct json *json, uint32_t params,
	int64_t now, struct arena *arena, struct value *values, struct err *err);

#endif
