#include "shell_history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../ctl.h"
#include "catalog.h"
#include "shell_fields.h"
#include "shell_words.h"

enum { KEPT = 1000, STORED_MAX = 2000 }; /* a longer file is cut to KEPT commands */

/* The file
 * ----------------------------------------------------------------------
 */

/* Creates the folders of the path, for their owner alone. */
static bool make_private_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		bool there = mkdir(path, 0700) == 0 || errno == EEXIST;
		*slash = '/';
		if (!there)
			return false;
	}
	return true;
}

static bool find_file(struct shell_history *history)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *path = history->path;
	size_t size = sizeof history->path;
	int length = -1;

	if (state != NULL && *state == '/') /* others are ignored, as its specification asks */
		length = snprintf(path, size, "%s/pierre-dbctl/history", state);
	else if (home != NULL && *home == '/')
		length = snprintf(path, size, "%s/.local/state/pierre-dbctl/history", home);
	return length > 0 && (size_t)length < size && make_private_folders(path);
}

/* The file, if it belongs to this user; makes it unreadable for others. */
static int history_file(const struct shell_history *history, int flags)
{
	int fd = open(history->path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat status;

	if (fd < 0)
		return -1;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
		((status.st_mode & 0077) == 0 || fchmod(fd, 0600) == 0))
		return fd;
	(void)close(fd);
	return -1;
}

/* Calls each for the commands behind the first `skipped`; counts all. */
static size_t read_commands(const struct shell_history *history, size_t skipped,
	void (*each)(void *userdata, const char *command), void *userdata)
{
	int fd = history_file(history, O_RDONLY);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	char *line = NULL;
	size_t size = 0, count = 0;

	while (file != NULL && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (count++ >= skipped && *line != '\0')
			each(userdata, line);
	}
	free(line);
	if (file != NULL)
		(void)fclose(file);
	else if (fd >= 0)
		(void)close(fd);
	return count;
}

static void count_only(void *userdata, const char *command)
{
	(void)userdata;
	(void)command;
}

static void copy_command(void *userdata, const char *command)
{
	(void)fprintf(userdata, "%s\n", command);
}

/* Replaces the file by its last commands. */
static void cut_file(const struct shell_history *history, size_t count)
{
	char shorter[PATH_MAX + 16];
	int fd;
	FILE *file;
	bool good;

	(void)snprintf(shorter, sizeof shorter, "%s.%ld", history->path, (long)getpid());
	fd = open(shorter, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	file = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (file == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	(void)read_commands(history, count - KEPT, copy_command, file);
	good = ferror(file) == 0;
	good = fclose(file) == 0 && good;
	if (!good || rename(shorter, history->path) != 0)
		(void)unlink(shorter);
}

void shell_history_open(struct shell_history *history,
	void (*each)(void *userdata, const char *command), void *userdata)
{
	size_t count;

	if (!find_file(history)) {
		*history->path = '\0';
		return;
	}
	count = read_commands(history, 0, count_only, NULL);
	if (count > STORED_MAX)
		cut_file(history, count);
	(void)read_commands(
		history, count > STORED_MAX || count < KEPT ? 0 : count - KEPT, each, userdata);
}

void shell_history_store(const struct shell_history *history, const char *command)
{
	size_t length = strlen(command);
	char *line;
	int fd;

	if (*history->path == '\0' || length == 0)
		return;
	fd = history_file(history, O_WRONLY | O_APPEND | O_CREAT);
	line = fd >= 0 ? malloc(length + 1) : NULL;
	if (line != NULL) {
		/* One write, so that the lines of two sessions do not mix. A disk that is full
		 * costs the history, not the session. */
		memcpy(line, command, length);
		line[length] = '\n';
		if (write(fd, line, length + 1) != (ssize_t)(length + 1))
			(void)fputs("the command could not be stored in the history\n", stderr);
	}
	free(line);
	if (fd >= 0)
		(void)close(fd);
}

/* Secrets
 * ----------------------------------------------------------------------
 */

static bool is_command(const char *word)
{
	for (const struct command *const *family = command_families; *family != NULL; family++)
		for (const struct command *command = *family; command->name != NULL; command++)
			if (strcmp(command->name, word) == 0)
				return true;
	return strcmp(word, "help") == 0;
}

static bool any_secret(const struct method *method)
{
	for (unsigned i = 0; i < method->param_count; i++)
		if (shell_fields_secret(&method->params[i]))
			return true;
	return false;
}

/* A parameter of the method, in one of the forms of `call`. */
static bool may_store_param(const struct method *method, const char *word)
{
	size_t length = shell_fields_name_length(word);
	const struct field *field;
	const char *value;

	if (*word == '{' || *word == '[')
		return !any_secret(method);
	if (*word == '@')
		return true; /* the name of a file */
	if (length == 0)
		return false;
	value = strchr(word, '=') + 1;
	if (value[0] == '@' && value[1] != '@')
		return true;
	switch (shell_fields_find(method, word, length, &field)) {
	case SHELL_FIELDS_FOUND:
		return !shell_fields_secret(field);
	case SHELL_FIELDS_WITHIN:
		return (field->flags & FIELD_SECRET) == 0;
	default:
		return false;
	}
}

/* A word after the first one: an option, its value, or a parameter. */
static bool may_store_word(const struct method *method, const char *word, const char *before)
{
	if (strstr(word, "://") != NULL)
		return false; /* a URL may hold a password */
	if (*word == '-' || strcmp(word, ",") == 0)
		return true;
	if (method != NULL)
		return *before == '-' || may_store_param(method, word);
	return strchr(word, '=') == NULL;
}

bool shell_history_may_store(const struct shell_words *words)
{
	const struct method *method = NULL;

	for (int i = 0; i < words->count; i++) {
		const char *word = words->list[i];
		const struct method *named = catalog_find(word, strlen(word));

		if (named != NULL)
			method = named;
		else if (i == 0 ? !is_command(word)
				: !may_store_word(method, word, words->list[i - 1]))
			return false;
	}
	return words->count > 0;
}
