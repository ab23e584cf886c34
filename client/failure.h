/* Fills struct pierre_error. Thread: no state. */
#ifndef PIERRE_CLIENT_FAILURE_H
#define PIERRE_CLIENT_FAILURE_H

#include "error.h"
#include "../protocol/json/json.h"
#include "pierre-db.h"

/* Fills *error (which may be NULL) and returns the kind. */
int failure_set(struct pierre_error *error, int kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Reports a parameter that the library refuses: PIERRE_INVALID_PARAMS. */
int failure_param(struct pierre_error *error, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Converts the error object of an answer. */
int failure_from_answer(
	struct pierre_error *error, const struct json *json, uint32_t node, struct arena *scratch);

#endif
