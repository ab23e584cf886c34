#include "settings.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <syslog.h>

#include "../../backends/store_redact.h"
#include "../../protocol/nearest.h"
#include "../../protocol/sqlite_url.h"
#include "envfile.h"

const struct setting setting_table[SETTING_ROWS] = {
#define X(member, type_, flag_, environment_, fallback_, words_, min_, max_, flags_, group_, doc_) \
	[SETTING_ID_##member] = {.name = #member,                                                  \
		.type = SETTING_##type_,                                                           \
		.flag = flag_,                                                                     \
		.environment = environment_,                                                       \
		.fallback = fallback_,                                                             \
		.words = words_,                                                                   \
		.min = min_,                                                                       \
		.max = max_,                                                                       \
		.flags = flags_,                                                                   \
		.group = group_,                                                                   \
		.doc = doc_,                                                                       \
		.offset = offsetof(struct settings, member)},
	SETTINGS(X)
#undef X
};

static const struct {
	const char *flag;
	enum settings_command command;
	const char *form; /* the form in --flag=form */
	enum settings_command formed;
} commands[] = {
	{"help", COMMAND_HELP, "markdown", COMMAND_HELP_MARKDOWN},
	{"version", COMMAND_VERSION, NULL, COMMAND_VERSION},
	{"generate-key", COMMAND_GENERATE_KEY, NULL, COMMAND_GENERATE_KEY},
	{"check-config", COMMAND_CHECK_CONFIG, "json", COMMAND_CHECK_CONFIG_JSON},
	{"migrate-only", COMMAND_MIGRATE_ONLY, NULL, COMMAND_MIGRATE_ONLY},
	{"verify", COMMAND_VERIFY, "json", COMMAND_VERIFY_JSON},
	{"restore", COMMAND_RESTORE, "json", COMMAND_RESTORE_JSON},
};

static bool is_text(const struct setting *row)
{
	return row->type == SETTING_TEXT || row->type == SETTING_URL || row->type == SETTING_SECRET;
}

static char **settings_text_of(const struct settings *settings, const struct setting *row)
{
	return (char **)(void *)((char *)(uintptr_t)settings + row->offset);
}

static uint64_t *number_of(const struct settings *settings, const struct setting *row)
{
	return (uint64_t *)(void *)((char *)(uintptr_t)settings + row->offset);
}

static void free_secret(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void warn(struct settings *settings, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void warn(struct settings *settings, const char *format, ...)
{
	char line[512];
	size_t old = settings->warnings != NULL ? strlen(settings->warnings) : 0;
	va_list arguments;
	char *grown;

	va_start(arguments, format);
	(void)vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	grown = realloc(settings->warnings, old + strlen(line) + 2);
	if (grown == NULL)
		return;
	(void)sprintf(grown + old, "%s\n", line);
	settings->warnings = grown;
}

/* Removes white space around a URL, which editors and secret files add. */
static char *settings_copy_text(enum setting_type type, const char *text)
{
	char *copy = strdup(text),
	     *begin = copy != NULL && type == SETTING_URL ? sqlite_url_trim(copy) : copy;

	if (begin != copy)
		memmove(copy, begin, strlen(begin) + 1);
	return copy;
}

static bool is_empty(enum setting_type type, const char *text)
{
	return text[type == SETTING_URL ? strspn(text, " \t\n\v\f\r") : 0] == '\0';
}

static void set_source(struct settings *settings, enum setting_id id, enum setting_source source)
{
	settings->source[id] = (uint8_t)source;
}

/* Stores a text in the settings; where: its origin, for messages. */
static int store_value(struct settings *settings, const struct setting *row, const char *text,
	const char *where, struct err *err)
{
	struct err inner;

	if (is_text(row)) {
		char *copy = settings_copy_text(row->type, text);

		if (copy == NULL)
			return err_exit(err, EX_OSERR, "out of memory");
		free_secret(*settings_text_of(settings, row));
		*settings_text_of(settings, row) = copy;
		return 0;
	}
	if (settings_value_parse_value(row, text, number_of(settings, row), &inner) == 0)
		return 0;
	return err_exit(err, inner.exit_code, "%s: %s", where, inner.message);
}

/* Sets each setting from the arguments or the environment, then the file, then its default. */
static int settings_apply(struct settings *settings, const struct envfile *file, struct err *err)
{
	for (unsigned id = 0; id < SETTING_ROWS; id++) {
		const struct setting *row = &setting_table[id];
		const char *text = settings->given[id], *where = row->environment;
		char name[96];

		if (text != NULL && settings->source[id] == SOURCE_FLAG) {
			(void)snprintf(name, sizeof name, "--%s", row->flag);
			where = name;
		} else if (text == NULL) {
			text = row->environment != NULL ? envfile_get(file, row->environment)
							: NULL;
			if (text != NULL && is_empty(row->type, text))
				text = NULL;
			set_source(settings, id, text != NULL ? SOURCE_ENV_FILE : SOURCE_DEFAULT);
			(void)snprintf(name, sizeof name, "%s in %.60s", row->environment,
				settings->env_path != NULL ? settings->env_path : "");
			where = name;
		}
		if (store_value(settings, row, text != NULL ? text : row->fallback, where, err) <
			0) {
			if (settings->source[id] == SOURCE_FLAG)
				err->exit_code = EX_USAGE;
			return -1;
		}
	}
	return 0;
}

static int settings_check(const struct settings *settings, struct err *err)
{
	if (*settings->encryption_key != '\0' && *settings->encryption_key_file != '\0')
		return err_exit(err, EX_CONFIG,
			"both ENCRYPTION_KEY and a key file (%s) are set: use only one of them",
			settings->encryption_key_file);
	if (*settings->previous_encryption_key != '\0' &&
		*settings->previous_encryption_key_file != '\0')
		return err_exit(err, EX_CONFIG,
			"both PREVIOUS_ENCRYPTION_KEY and a file for it (%s) are set: "
			"use only one of them",
			settings->previous_encryption_key_file);
	if (settings->pool_min > settings->pool)
		return err_exit(err, EX_CONFIG, "pool-min (%llu) is more than pool (%llu)",
			(unsigned long long)settings->pool_min, (unsigned long long)settings->pool);
	return 0;
}

#define OURS "PIERRE_DBD_"

/* The part after the prefix of our names; NULL: the name has no such prefix. */
static const char *own_part(const char *name)
{
	return name != NULL && strncmp(name, OURS, sizeof OURS - 1) == 0 ? name + sizeof OURS - 1
									 : NULL;
}

/* An unknown name with our prefix is probably misspelt, and its setting would stay unset. where: ""
 * or "FILE: ". */
static void warn_if_unknown(struct settings *settings, const char *where, const char *name)
{
	struct nearest nearest = {.wanted = own_part(name)};
	const char *meant;

	if (nearest.wanted == NULL)
		return;
	for (unsigned id = 0; id < SETTING_ROWS; id++)
		nearest_offer(&nearest, own_part(setting_table[id].environment));
	if (nearest.distance == 0)
		return;
	meant = nearest_name(&nearest);
	warn(settings, "%s%sthere is no setting %.60s%s%s%s", where, *where != '\0' ? ": " : "",
		name, meant != NULL ? "; did you mean " OURS : "", meant != NULL ? meant : "",
		meant != NULL ? "?" : "");
}

static bool secret_setting(const struct setting *row, const char *value)
{
	char shown[512];

	if (row->type != SETTING_URL)
		return row->type == SETTING_SECRET;
	store_redact_url(value, shown, sizeof shown);
	return strcmp(shown, value) != 0;
}

static bool holds_secrets(const struct envfile *file)
{
	for (unsigned id = 0; id < SETTING_ROWS; id++) {
		const char *value = envfile_get(file, setting_table[id].environment);

		if (value != NULL && secret_setting(&setting_table[id], value))
			return true;
	}
	return false;
}

static void settings_look_at_file(struct settings *settings, const struct envfile *file)
{
	if (file->readable_by_others && holds_secrets(file))
		warn(settings, "%s holds secrets and can be read by others: chmod 600 it",
			settings->env_path);
	for (size_t i = 0; i < file->count; i++)
		warn_if_unknown(settings, settings->env_path, file->entries[i].key);
}

/* Reads the file, then applies all sources. */
static int read_and_apply(struct settings *settings, struct err *err)
{
	struct envfile file = {0};
	int found = settings->env_path != NULL ? envfile_read(&file, settings->env_path, err) : 1;
	int result = -1;

	if (found < 0)
		goto out;
	if (found == 1 && settings->env_must_exist) {
		(void)err_exit(err, EX_CONFIG, "there is no file %s", settings->env_path);
		goto out;
	}
	if (settings_apply(settings, &file, err) < 0 || settings_check(settings, err) < 0)
		goto out;
	settings_look_at_file(settings, &file);
	result = 0;
out:
	envfile_free(&file);
	return result;
}

static int unknown_flag(const char *flag, struct err *err)
{
	struct nearest nearest = {.wanted = flag};
	const char *meant;

	for (unsigned id = 0; id < SETTING_ROWS; id++)
		nearest_offer(&nearest, setting_table[id].flag);
	for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++)
		nearest_offer(&nearest, commands[i].flag);
	meant = nearest_name(&nearest);
	for (unsigned id = 0; meant == NULL && strlen(flag) >= 4 && id < SETTING_ROWS; id++)
		if (setting_table[id].flag != NULL &&
			strncmp(setting_table[id].flag, flag, strlen(flag)) == 0)
			meant = setting_table[id].flag;
	/* Shows only a prefix that looks like a name: the rest may be a secret value. */
	return err_exit(err, EX_USAGE, "unknown option --%.*s%s%s%s",
		(int)strspn(flag, "abcdefghijklmnopqrstuvwxyz0123456789-_"), flag,
		meant != NULL ? "; did you mean --" : "", meant != NULL ? meant : "",
		meant != NULL ? "?" : "; --help lists them all");
}

static int take_command(
	const char *flag, const char *value, enum settings_command *command, struct err *err)
{
	for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(flag, commands[i].flag) != 0)
			continue;
		*command = commands[i].command;
		if (value == NULL)
			return 1;
		if (commands[i].form == NULL)
			return err_exit(err, EX_USAGE, "--%s takes no value", flag);
		if (strcmp(value, commands[i].form) != 0)
			return err_exit(err, EX_USAGE, "--%s takes no value, or the value %s", flag,
				commands[i].form);
		*command = commands[i].formed;
		return 1;
	}
	return 0;
}

static int give(struct settings *settings, enum setting_id id, const char *value,
	enum setting_source source, struct err *err)
{
	enum setting_type type = setting_table[id].type;
	char *copy = !is_empty(type, value) ? settings_copy_text(type, value) : NULL;

	if (copy == NULL && !is_empty(type, value))
		return err_exit(err, EX_OSERR, "out of memory");
	free_secret(settings->given[id]);
	settings->given[id] = copy;
	set_source(settings, id, copy != NULL ? source : SOURCE_DEFAULT);
	return 0;
}

/* --restore is followed by the file to restore. */
static int take_file(struct settings *settings, char **argv, int *at, enum settings_command command,
	struct err *err)
{
	if (command != COMMAND_RESTORE && command != COMMAND_RESTORE_JSON)
		return 0;
	if (argv[*at + 1] == NULL || *argv[*at + 1] == '\0')
		return err_exit(err, EX_USAGE, "--restore needs the name of a file");
	free(settings->file);
	settings->file = strdup(argv[++*at]);
	return settings->file != NULL ? 0 : err_exit(err, EX_OSERR, "out of memory");
}

/* Parses one `--name…` of the command line; *at moves past a separate value. */
static int take_flag(struct settings *settings, char **argv, int *at,
	enum settings_command *command, struct err *err)
{
	char flag[64];
	const char *text = argv[*at] + 2, *equals = strchr(text, '='),
		   *value = equals != NULL ? equals + 1 : NULL;
	size_t length = equals != NULL ? (size_t)(equals - text) : strlen(text);
	bool negated;
	int taken;

	(void)snprintf(flag, sizeof flag, "%.*s", (int)length, text);
	taken = take_command(flag, value, command, err);
	if (taken != 0)
		return taken < 0 ? -1 : take_file(settings, argv, at, *command, err);
	for (unsigned id = 0; id < SETTING_ROWS; id++) {
		const struct setting *row = &setting_table[id];

		if (row->flag == NULL)
			continue;
		negated = row->type == SETTING_BOOL && strncmp(flag, "no-", 3) == 0 &&
			strcmp(flag + 3, row->flag) == 0;
		if (!negated && strcmp(flag, row->flag) != 0)
			continue;
		if (negated && value != NULL)
			return err_exit(err, EX_USAGE, "--%s takes no value", flag);
		if (row->type == SETTING_BOOL && value == NULL)
			value = negated ? "no" : "yes";
		if (value == NULL && (value = argv[*at + 1]) == NULL)
			return err_exit(err, EX_USAGE, "--%s needs a value", flag);
		*at += equals == NULL && row->type != SETTING_BOOL;
		return give(settings, id, value, SOURCE_FLAG, err);
	}
	return unknown_flag(flag, err);
}

/* It may be a database URL whose --database-url was forgotten. */
static int no_option(const char *argument, struct err *err)
{
	char shown[64];

	store_redact_url(argument, shown, sizeof shown);
	return err_exit(err, EX_USAGE, "\"%s\" is not an option; --help lists them all", shown);
}

static int read_flags(struct settings *settings, int argc, char **argv,
	enum settings_command *command, struct err *err)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-h") == 0)
			*command = COMMAND_HELP;
		else if (strcmp(argv[i], "-V") == 0)
			*command = COMMAND_VERSION;
		else if (strncmp(argv[i], "--", 2) != 0 || argv[i][2] == '\0')
			return no_option(argv[i], err);
		else if (take_flag(settings, argv, &i, command, err) < 0)
			return -1;
	}
	return 0;
}

static int read_environment(struct settings *settings, char **environment, struct err *err)
{
	for (; *environment != NULL; environment++) {
		const char *equals = strchr(*environment, '=');
		char name[64];

		if (equals == NULL || equals[1] == '\0')
			continue;
		(void)snprintf(
			name, sizeof name, "%.*s", (int)(equals - *environment), *environment);
		warn_if_unknown(settings, "", name);
		for (unsigned id = 0; id < SETTING_ROWS; id++) {
			const char *known = setting_table[id].environment;

			if (known != NULL && settings->given[id] == NULL &&
				strlen(known) == (size_t)(equals - *environment) &&
				memcmp(known, *environment, strlen(known)) == 0 &&
				give(settings, id, equals + 1, SOURCE_ENVIRONMENT, err) < 0)
				return -1;
		}
	}
	return 0;
}

int settings_read(struct settings *settings, int argc, char **argv, char **environment,
	bool use_env_file, enum settings_command *command, struct err *err)
{
	const char *file;

	*settings = (struct settings){0};
	*command = COMMAND_RUN;
	if (read_flags(settings, argc, argv, command, err) < 0)
		return -1;
	if (*command == COMMAND_HELP || *command == COMMAND_HELP_MARKDOWN ||
		*command == COMMAND_VERSION || *command == COMMAND_GENERATE_KEY)
		return 0;
	if (read_environment(settings, environment, err) < 0)
		return -1;
	file = settings->given[SETTING_ID_env_file];
	settings->env_must_exist = file != NULL;
	if (file != NULL || use_env_file) {
		settings->env_path = strdup(file != NULL ? file : ".env");
		if (settings->env_path == NULL)
			return err_exit(err, EX_OSERR, "out of memory");
	}
	return read_and_apply(settings, err);
}

static bool same_setting(
	const struct settings *a, const struct settings *b, const struct setting *row)
{
	if (is_text(row))
		return strcmp(*settings_text_of(a, row), *settings_text_of(b, row)) == 0;
	return *number_of(a, row) == *number_of(b, row);
}

static void swap_value(struct settings *a, struct settings *b, const struct setting *row)
{
	enum setting_id id = (enum setting_id)(row - setting_table);

	if (is_text(row)) {
		char *text = *settings_text_of(a, row);

		*settings_text_of(a, row) = *settings_text_of(b, row);
		*settings_text_of(b, row) = text;
	} else {
		*number_of(a, row) = *number_of(b, row);
	}
	a->source[id] = b->source[id];
}

static void add_name(char *names, size_t size, const char *name)
{
	size_t length = strlen(names);

	if (length + strlen(name) + 2 < size)
		(void)sprintf(names + length, "%s%s", length > 0 ? "," : "", name);
}

int settings_reload(struct settings *settings,
	int (*check_next)(const struct settings *next, struct err *err),
	struct settings_changes *changes, struct err *err)
{
	struct settings next = {
		.env_path = settings->env_path, .env_must_exist = settings->env_must_exist};
	int result;

	memcpy(next.given, settings->given, sizeof next.given);
	memcpy(next.source, settings->source, sizeof next.source);
	*changes->taken = *changes->restart = '\0';
	result = read_and_apply(&next, err);
	if (result == 0 && check_next != NULL)
		result = check_next(&next, err);
	for (unsigned id = 0; result == 0 && id < SETTING_ROWS; id++) {
		const struct setting *row = &setting_table[id];

		/* The key's text was wiped once the key was loaded: it cannot be compared. */
		if (row->type == SETTING_SECRET || same_setting(settings, &next, row))
			continue;
		if ((row->flags & SETTING_RELOAD) != 0) {
			swap_value(settings, &next, row);
			add_name(changes->taken, sizeof changes->taken, row->name);
		} else {
			add_name(changes->restart, sizeof changes->restart, row->name);
		}
	}
	if (result == 0) {
		free(settings->warnings);
		settings->warnings = next.warnings;
		next.warnings = NULL;
	}
	/* The arguments and the path still belong to the old struct. */
	memset(next.given, 0, sizeof next.given);
	next.env_path = NULL;
	next.file = NULL;
	settings_free(&next);
	return result;
}

void settings_free(struct settings *settings)
{
	for (unsigned id = 0; id < SETTING_ROWS; id++) {
		free_secret(settings->given[id]);
		if (is_text(&setting_table[id]))
			free_secret(*settings_text_of(settings, &setting_table[id]));
	}
	free(settings->env_path);
	free(settings->file);
	free(settings->warnings);
	*settings = (struct settings){0};
}

int settings_log_level(const struct settings *settings)
{
	return (int)settings->log_level + LOG_ERR;
}
