#include "pretty.h"

#include <stdio.h>

/* The end of the string that begins at `text`, after its closing quote. */
static const char *pretty_string_end(const char *text)
{
	for (text++; *text != '"' && *text != '\0'; text++)
		if (*text == '\\' && text[1] != '\0')
			text++;
	return *text == '"' ? text + 1 : text;
}

/* A valid text has the other control characters escaped; these may stand in it as they are. */
static void print_string(const char *text, const char *end)
{
	for (; text < end; text++) {
		unsigned char byte = (unsigned char)*text, next = (unsigned char)text[1];

		if (byte == 0x7F) {
			(void)fputs("\\u007f", stdout);
		} else if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {
			(void)printf("\\u%04x", next);
			text++;
		} else {
			(void)putchar(byte);
		}
	}
}

static const char *colour_of(const char *text, const char *end)
{
	if (*text == '"')
		return *end == ':' ? "\033[1m" : "\033[32m";
	if (*text == 't' || *text == 'f')
		return "\033[35m";
	return *text == 'n' ? "\033[2m" : "\033[36m";
}

/* A string, a number or a word. Returns its end. */
static const char *print_token(const struct ctl *ctl, const char *text)
{
	const char *end = text + 1;

	if (*text == '"')
		end = pretty_string_end(text);
	else
		while (*end != '\0' && *end != ',' && *end != '}' && *end != ']')
			end++;
	if (ctl->colours)
		(void)fputs(colour_of(text, end), stdout);
	print_string(text, end);
	if (ctl->colours)
		(void)fputs("\033[0m", stdout);
	return end;
}

static void new_line(unsigned depth)
{
	(void)printf("\n%*s", (int)(depth * 2), "");
}

void pretty_print(const struct ctl *ctl, const char *json)
{
	unsigned depth = 0;

	while (*json != '\0') {
		if ((*json == '{' || *json == '[') && (json[1] == '}' || json[1] == ']')) {
			(void)printf("%.2s", json);
			json += 2;
		} else if (*json == '{' || *json == '[') {
			(void)putchar(*json++);
			new_line(++depth);
		} else if (*json == '}' || *json == ']') {
			new_line(--depth);
			(void)putchar(*json++);
		} else if (*json == ',') {
			(void)putchar(*json++);
			new_line(depth);
		} else if (*json == ':') {
			(void)fputs(": ", stdout);
			json++;
		} else if (*json == ' ' || *json == '\n') {
			json++; /* the daemon writes none; another program at the socket may */
		} else {
			json = print_token(ctl, json);
		}
	}
	(void)putchar('\n');
}
