/* Parameters of a call on the command line. */
#ifndef PIERRE_CTL_PARAMS_H
#define PIERRE_CTL_PARAMS_H

#include <stdbool.h>

struct field;
struct method;
/* Converts `name=text name:=json …`, `@file` or `-` to the JSON text of params, which the caller
 * frees; NULL without arguments. Values are converted to the types of `method`; NULL: all are
 * strings. Reports an error; returns 0 or the exit code. */
int params_from_arguments(const struct method *method, int argc, char **argv, char **params);
/* A value of the parameter is written as name:=json. */
bool params_takes_json(const struct field *field);
/* The method, or NULL after suggesting the nearest name. */
const struct method *params_find_method(const char *name);

#endif
