/* Parameters of a call on the command line. */
#ifndef PIERRE_CTL_PARAMS_H
#define PIERRE_CTL_PARAMS_H

struct method;
/* `name=text name:=json …`, `@file` or `-` -> the params' JSON text, to be freed; NULL when there
 * are none. method: whose types texts are converted to; NULL: all are strings. Reports what is
 * wrong; returns 0 or the exit code. */
int params_from_arguments(const struct method *method, int argc, char **argv, char **params);
/* The method, or NULL after suggesting the nearest. */
const struct method *params_find_method(const char *name);

#endif
