#include "json_add.h"

#include <string.h>

#include "json.h"

void json_add_name(struct buffer *out, const char *name)
{
	char last = out->length > 0 ? out->data[out->length - 1] : '[';

	/* Text ends with a quote, so an open bracket or a comma at the end is syntax. */
	if (last != '{' && last != '[' && last != ':' && last != ',')
		buffer_byte(out, ',');
	if (name == NULL)
		return;
	json_write_string(out, name, strlen(name));
	buffer_byte(out, ':');
}

void json_add_object(struct buffer *out, const char *name)
{
	json_add_name(out, name);
	buffer_byte(out, '{');
}

void json_add_array(struct buffer *out, const char *name)
{
	json_add_name(out, name);
	buffer_byte(out, '[');
}

void json_add_end(struct buffer *out, char bracket)
{
	buffer_byte(out, bracket);
}

void json_add_text(struct buffer *out, const char *name, const char *text)
{
	json_add_name(out, name);
	if (text != NULL)
		json_write_string(out, text, strlen(text));
	else
		buffer_text(out, "null");
}

void json_add_integer(struct buffer *out, const char *name, int64_t value)
{
	json_add_name(out, name);
	json_write_integer(out, value);
}

void json_add_count(struct buffer *out, const char *name, uint64_t value)
{
	json_add_integer(out, name, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

void json_add_real(struct buffer *out, const char *name, double value)
{
	json_add_name(out, name);
	json_write_real(out, value);
}

void json_add_bool(struct buffer *out, const char *name, bool value)
{
	json_add_name(out, name);
	buffer_text(out, value ? "true" : "false");
}

void json_add_json(struct buffer *out, const char *name, const char *json)
{
	json_add_name(out, name);
	buffer_text(out, json);
}
