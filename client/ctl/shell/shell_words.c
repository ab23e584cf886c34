#include "shell_words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* The end of the JSON string that begins at `text`; NULL when its line ends first. */
static const char *json_string_end(const char *text)
{
	for (text++; *text != '"'; text++) {
		if (*text == '\\' && text[1] != '\0' && text[1] != '\n')
			text++;
		else if (*text == '\0' || *text == '\n')
			return NULL;
	}
	return text + 1;
}

/* Copies a JSON text as far as its brackets reach. Whether it is valid is checked later. */
static enum shell_words_state copy_json(struct shell_words *words, const char **at)
{
	const char *text = *at;
	unsigned depth = 0;

	do {
		const char *end = text + 1;

		if (*text == '\0')
			return SHELL_WORDS_OPEN;
		if (*text == '"') {
			end = json_string_end(text);
			if (end == NULL) {
				words->problem = "a JSON string is not closed on its line";
				return SHELL_WORDS_BAD;
			}
		}
		depth += *text == '{' || *text == '[';
		depth -= *text == '}' || *text == ']';
		buffer_append(&words->text, text, (size_t)(end - text));
		text = end;
	} while (depth > 0);
	*at = text;
	return SHELL_WORDS_WHOLE;
}

static enum shell_words_state copy_quoted(struct shell_words *words, const char **at)
{
	char quote = **at;
	const char *text = *at + 1;

	for (; *text != quote; text++) {
		if (*text == '\0' || *text == '\n') {
			words->problem = quote == '"' ? "a \" is not closed on its line"
						      : "a ' is not closed on its line";
			return SHELL_WORDS_BAD;
		}
		if (quote == '"' && *text == '\\' && (text[1] == '"' || text[1] == '\\'))
			text++;
		buffer_byte(&words->text, *text);
	}
	*at = text + 1;
	return SHELL_WORDS_WHOLE;
}

/* word: where it begins in the buffer. */
static bool begins_json(const struct shell_words *words, size_t word, char next)
{
	size_t length = words->text.length - word;
	const char *end = words->text.data + words->text.length;

	if (length == 0)
		return next == '{' || next == '[';
	return length > 2 && end[-1] == '=' && end[-2] == ':' &&
		(next == '{' || next == '[' || next == '"');
}

static enum shell_words_state copy_word(struct shell_words *words, const char **at)
{
	enum shell_words_state state = SHELL_WORDS_WHOLE;
	size_t word = words->text.length;

	while (state == SHELL_WORDS_WHOLE && **at != '\0' && !is_space(**at)) {
		if (begins_json(words, word, **at)) {
			state = copy_json(words, at);
		} else if (**at == '\'' || **at == '"') {
			state = copy_quoted(words, at);
		} else {
			if (**at == '\\' && (*at)[1] != '\0')
				(*at)++;
			buffer_byte(&words->text, *(*at)++);
		}
	}
	buffer_byte(&words->text, '\0');
	return state;
}

static enum shell_words_state list_words(struct shell_words *words)
{
	char *word = words->text.data;

	words->list = calloc((size_t)words->count + 1, sizeof *words->list);
	if (words->list == NULL || words->text.failure != BUFFER_OK) {
		words->problem = "out of memory";
		return SHELL_WORDS_BAD;
	}
	for (int i = 0; i < words->count; i++) {
		words->list[i] = word;
		word += strlen(word) + 1;
	}
	return SHELL_WORDS_WHOLE;
}

enum shell_words_state shell_words_split(struct shell_words *words, const char *text)
{
	enum shell_words_state state = SHELL_WORDS_WHOLE;
	const char *at = text;

	*words = (struct shell_words){.count = 0};
	while (state == SHELL_WORDS_WHOLE) {
		while (is_space(*at))
			at++;
		if (*at == '\0')
			break;
		words->last = (size_t)(at - text);
		words->count++;
		state = copy_word(words, &at);
	}
	return state == SHELL_WORDS_WHOLE ? list_words(words) : state;
}

void shell_words_free(struct shell_words *words)
{
	if (words->text.data != NULL)
		buffer_wipe(&words->text);
	buffer_free(&words->text);
	free(words->list);
	*words = (struct shell_words){.count = 0};
}
