/* Strings of scanned JSON: unescaping and member names. Internal to json_scan.c and json_names.c.
 *
 * prefix: json_ */
#ifndef PIERRE_JSON_NAMES_H
#define PIERRE_JSON_NAMES_H

#include "json.h"

/* Four hexadecimal digits; -1 when invalid. */
int json_hex4(const char *digits);
/* found: the first duplicate name of the object, compared after unescaping, or 0. False when out of
 * memory. */
bool json_duplicate(const struct json *json, uint32_t object, uint32_t *found);

#endif
