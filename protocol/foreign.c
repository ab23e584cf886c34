#include "foreign.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool begins_with(const char *line, size_t length, const char *prefix)
{
	return length >= strlen(prefix) && strncasecmp(line, prefix, strlen(prefix)) == 0;
}

static bool is_http(const char *line, size_t length)
{
	static const char *const methods[] = {"GET ", "HEAD ", "POST ", "PUT ", "DELETE ",
		"CONNECT ", "OPTIONS ", "TRACE ", "PATCH ", "PRI "};

	if (begins_with(line, length, "HTTP/"))
		return true;
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (begins_with(line, length, methods[i]) &&
			memmem(line, length, " HTTP/", 6) != NULL)
			return true;
	return false;
}

/* The first line of a text that spans several: it opens containers, and its end requires more. */
static bool is_first_of_several(const char *line, size_t length)
{
	return (line[0] == '{' || line[0] == '[') && strchr("{[,:", line[length - 1]) != NULL;
}

const char *foreign_explain(const char *line, size_t length)
{
	while (length > 0 && strchr(" \t\r\n", line[length - 1]) != NULL &&
		line[length - 1] != '\0')
		length--;
	while (length > 0 && strchr(" \t\r\n", line[0]) != NULL && line[0] != '\0') {
		line++;
		length--;
	}
	if (length == 0)
		return NULL;
	if (begins_with(line, length, "\xEF\xBB\xBF"))
		return "the line begins with a byte order mark: send UTF-8 without one";
	if (begins_with(line, length, "\xFF\xFE") || begins_with(line, length, "\xFE\xFF"))
		return "the line is UTF-16: send UTF-8 without a byte order mark";
	if (begins_with(line, length, "\x16\x03"))
		return "this looks like the start of TLS: the socket accepts plain JSON-RPC "
		       "2.0, one JSON text per line";
	if (is_http(line, length))
		return "this looks like HTTP: the socket accepts JSON-RPC 2.0 without HTTP, one "
		       "JSON text per line";
	if (begins_with(line, length, "Content-Length:") ||
		begins_with(line, length, "Content-Type:"))
		return "this looks like a header of LSP or HTTP: send no headers, but "
		       "one JSON text per line";
	if (is_first_of_several(line, length))
		return "this looks like the first line of pretty-printed JSON: send the whole "
		       "JSON text on one line";
	return NULL;
}
