/* Parameters of a method, found by their path. */
#ifndef PIERRE_CTL_SHELL_FIELDS_H
#define PIERRE_CTL_SHELL_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "catalog.h"

enum shell_fields_place {
	SHELL_FIELDS_UNKNOWN,
	SHELL_FIELDS_FOUND,
	SHELL_FIELDS_WITHIN, /* within a document, whose members are free */
};

/* `user.email`: stores the parameter, or the document around the member, in *field. */
enum shell_fields_place shell_fields_find(
	const struct method *method, const char *path, size_t length, const struct field **field);
/* The length of the name in `name=text` or `name:=json`; 0 when the word is neither. */
size_t shell_fields_name_length(const char *word);
/* The parameter, or one of its members, is secret, or may hold a call with a secret. */
bool shell_fields_secret(const struct field *field);

#endif
