#include "shell_fields.h"

#include <string.h>

enum shell_fields_place shell_fields_find(
	const struct method *method, const char *path, size_t length, const struct field **field)
{
	const struct field *fields = method->params;
	unsigned count = method->param_count;

	for (;;) {
		const char *dot = memchr(path, '.', length);
		size_t part = dot != NULL ? (size_t)(dot - path) : length;
		unsigned i = 0;

		while (i < count &&
			(fields[i].name_length != part || memcmp(fields[i].name, path, part) != 0))
			i++;
		if (i == count)
			return SHELL_FIELDS_UNKNOWN;
		*field = &fields[i];
		if (dot == NULL)
			return SHELL_FIELDS_FOUND;
		if (fields[i].type == TYPE_DOCUMENT || fields[i].type == TYPE_JSON)
			return SHELL_FIELDS_WITHIN;
		length -= part + 1;
		path += part + 1;
		count = fields[i].type == TYPE_OBJECT ? fields[i].member_count : 0;
		fields = fields[i].members;
	}
}

size_t shell_fields_name_length(const char *word)
{
	const char *equals = strchr(word, '=');
	size_t length = equals != NULL ? (size_t)(equals - word) : 0;

	return length > 0 && word[length - 1] == ':' ? length - 1 : length;
}

bool shell_fields_secret(const struct field *field)
{
	if ((field->flags & FIELD_SECRET) != 0 || field->type == TYPE_CALLS)
		return true;
	for (unsigned i = 0; i < field->member_count; i++)
		if (shell_fields_secret(&field->members[i]))
			return true;
	return false;
}
