/* Results as jansson trees, for commands that inspect them. */
#ifndef PIERRE_CTL_TREE_H
#define PIERRE_CTL_TREE_H

#include <jansson.h>

#include "../ctl.h"

/* Calls a method; the caller owns *tree. Reports a failure; returns 0 or the exit code. */
int tree_call(struct ctl *ctl, const char *method, json_t **tree);
int tree_call_with(struct ctl *ctl, const char *method, const char *params,
	json_t **tree); /* params: JSON text or NULL */
void tree_print(const struct ctl *ctl, const json_t *tree);
void tree_print_new(const struct ctl *ctl, json_t *tree); /* and frees it */
/* The value of a member; "" or 0 when it is missing or of another type. */
const char *tree_text(const json_t *object, const char *name);
double tree_number(const json_t *object, const char *name);

#endif
