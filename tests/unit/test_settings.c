/* Settings: the sources of values and their precedence, what is refused, what a reload applies.
 * Would catch: the environment preceding an option, a size read as another, a password shown, a
 * broken file that changes half of the settings, a new secret that remains visible in /proc. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "../../daemon/clients/access.h"
#include "../../daemon/base/process.h"
#include "../../daemon/settings/settings.h"
#include "unit.h"

enum { MAX = 16 };

static char folder[64];
static struct settings settings;
static struct err err;
static enum settings_command command;

static void enter_folder(void)
{
	(void)snprintf(folder, sizeof folder, "/tmp/pierre-settings-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	memset(&settings, 0, sizeof settings);
	memset(&err, 0, sizeof err);
}

static void leave_folder(void)
{
	settings_free(&settings);
	(void)unlink(".env");
	(void)unlink("other.env");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(close(fd), 0);
}

/* flags and environment: texts parted by a line feed. */
static int parse(const char *flags, const char *environment, bool use_env_file)
{
	static char copies[2][1024];
	char *lists[2][MAX] = {{(char *)"pierre-dbd"}};
	int counts[2] = {1, 0};
	const char *texts[2] = {flags, environment};

	settings_free(&settings);
	memset(&err, 0, sizeof err);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(copies[i], sizeof copies[i], "%s", texts[i]);
		for (char *at = strtok(copies[i], "\n"); at != NULL; at = strtok(NULL, "\n"))
			lists[i][counts[i]++] = at;
		ck_assert_int_lt(counts[i], MAX);
	}
	return settings_read(
		&settings, counts[0], lists[0], lists[1], use_env_file, &command, &err);
}

START_TEST(defaults)
{
	ck_assert_int_eq(parse("", "", false), 0);
	ck_assert_int_eq(command, COMMAND_RUN);
	ck_assert_str_eq(settings.database_url, "sqlite:./data/pierre.db");
	ck_assert_uint_eq(settings.line_limit, 1024 * 1024);
	ck_assert_uint_eq(settings.answer_limit, 16 * 1024 * 1024);
	ck_assert_uint_eq(settings.unsent_limit, 8 * 1024 * 1024);
	ck_assert_uint_eq(settings.in_flight_limit, 256);
	ck_assert_uint_eq(settings.batch_limit, 1000);
	ck_assert_uint_eq(settings.depth_limit, 64);
	ck_assert_uint_eq(settings.connections, 1024);
	ck_assert_uint_eq(settings.line_timeout, 30000);
	ck_assert_uint_eq(settings.write_timeout, 30000);
	ck_assert_uint_eq(settings.call_timeout, 30000);
	ck_assert_uint_eq(settings.acquire_timeout, 5000);
	ck_assert_uint_eq(settings.drain_timeout, 10000);
	ck_assert_uint_eq(settings.bcrypt_cost, 12);
	ck_assert_uint_eq(settings.migrate, 1);
	ck_assert_int_eq(settings_log_level(&settings), LOG_INFO);
}
END_TEST

START_TEST(flags_win_over_environment_over_file)
{
	write_file(".env", "PIERRE_DBD_POOL=3\nPIERRE_DBD_BATCH=4\nDATABASE_URL=sqlite:file\n");
	ck_assert_int_eq(parse("--pool=5\n--database-url\nsqlite:flag",
				 "PIERRE_DBD_POOL=6\nDATABASE_URL=sqlite:environment", true),
		0);
	ck_assert_uint_eq(settings.pool, 5);
	ck_assert_uint_eq(settings.batch, 4);
	ck_assert_str_eq(settings.database_url, "sqlite:flag");
	ck_assert_int_eq(settings.source[SETTING_ID_pool], SOURCE_FLAG);
	ck_assert_int_eq(settings.source[SETTING_ID_batch], SOURCE_ENV_FILE);
	ck_assert_int_eq(settings.source[SETTING_ID_connections], SOURCE_DEFAULT);
	ck_assert_int_eq(parse("", "DATABASE_URL=sqlite:environment", true), 0);
	ck_assert_str_eq(settings.database_url, "sqlite:environment");
	ck_assert_int_eq(parse("", "", true), 0);
	ck_assert_str_eq(settings.database_url, "sqlite:file");
	ck_assert_int_eq(parse("", "", false), 0);
	ck_assert_str_eq(settings.database_url, "sqlite:./data/pierre.db");
}
END_TEST

START_TEST(empty_counts_as_not_given)
{
	write_file(".env", "PIERRE_DBD_POOL=3\n");
	ck_assert_int_eq(parse("--database-url=", "DATABASE_URL=\nPIERRE_DBD_POOL=", true), 0);
	ck_assert_str_eq(settings.database_url, "sqlite:./data/pierre.db");
	ck_assert_uint_eq(settings.pool, 3);
}
END_TEST

START_TEST(booleans)
{
	ck_assert_int_eq(parse("--no-migrate", "", false), 0);
	ck_assert_uint_eq(settings.migrate, 0);
	ck_assert_int_eq(parse("--migrate", "PIERRE_DBD_MIGRATE=no", false), 0);
	ck_assert_uint_eq(settings.migrate, 1);
	ck_assert_int_eq(parse("--migrate=false", "", false), 0);
	ck_assert_uint_eq(settings.migrate, 0);
	ck_assert_int_eq(parse("", "PIERRE_DBD_MIGRATE=OFF", false), 0);
	ck_assert_uint_eq(settings.migrate, 0);
	ck_assert_int_eq(parse("--no-migrate=yes", "", false), -1);
	ck_assert_int_eq(err.exit_code, EX_USAGE);
}
END_TEST

static const struct {
	enum setting_id id;
	const char *text;
	long long number; /* -1: refused */
} values[] = {
	{SETTING_ID_line_timeout, "30", 30000},
	{SETTING_ID_line_timeout, "250ms", 250},
	{SETTING_ID_line_timeout, "1.5s", 1500},
	{SETTING_ID_line_timeout, "2m", 120000},
	{SETTING_ID_line_timeout, "1h", 3600000},
	{SETTING_ID_line_timeout, "2h", -1},
	{SETTING_ID_line_timeout, "9ms", -1},
	{SETTING_ID_line_timeout, "10ms", 10},
	{SETTING_ID_line_timeout, "-1s", -1},
	{SETTING_ID_line_timeout, "5 s", -1},
	{SETTING_ID_line_timeout, "nan", -1},
	{SETTING_ID_line_timeout, "inf", -1},
	{SETTING_ID_line_timeout, "1e3000s", -1},
	{SETTING_ID_line_timeout, "30sec", -1},
	{SETTING_ID_line_timeout, " 30s", -1},
	{SETTING_ID_line_limit, "1024", 1024},
	{SETTING_ID_line_limit, "1023", -1},
	{SETTING_ID_line_limit, "64KiB", 65536},
	{SETTING_ID_line_limit, "64k", 65536},
	{SETTING_ID_line_limit, "2MiB", 2097152},
	{SETTING_ID_line_limit, "2MB", 2000000},
	{SETTING_ID_line_limit, "1GiB", -1},
	{SETTING_ID_line_limit, "x", -1},
	{SETTING_ID_line_limit, "0x400", -1},
	{SETTING_ID_connections, "1", 1},
	{SETTING_ID_connections, "0", -1},
	{SETTING_ID_connections, "-1", -1},
	{SETTING_ID_connections, "1.5", -1},
	{SETTING_ID_connections, "99999999999999999999", -1},
	{SETTING_ID_socket_mode, "0660", 0660},
	{SETTING_ID_socket_mode, "600", 0600},
	{SETTING_ID_socket_mode, "999", -1},
	{SETTING_ID_socket_mode, "1777", -1},
	{SETTING_ID_log_level, "debug", 4},
	{SETTING_ID_log_level, "Error", 0},
	{SETTING_ID_log_level, "loud", -1},
	{SETTING_ID_log_level, "err", -1},
	{SETTING_ID_default_role, "none", 0},
	{SETTING_ID_default_role, "admin", 4},
	{SETTING_ID_default_role, "admin;", -1},
	{SETTING_ID_migrate, "maybe", -1},
};

START_TEST(value_forms)
{
	const struct setting *row = &setting_table[values[_i].id];
	uint64_t number = 0;
	int result = settings_value_parse_value(row, values[_i].text, &number, &err);

	ck_assert_msg(result == (values[_i].number < 0 ? -1 : 0), "%s %s: %d", row->name,
		values[_i].text, result);
	if (result == 0)
		ck_assert_msg(number == (uint64_t)values[_i].number, "%s %s: %llu", row->name,
			values[_i].text, (unsigned long long)number);
	else
		ck_assert_int_eq(err.exit_code, EX_CONFIG);
}
END_TEST

START_TEST(every_default_is_a_value_and_shows_itself)
{
	const struct setting *row = &setting_table[_i];
	char shown[64];
	uint64_t number, again;

	if (row->type == SETTING_TEXT || row->type == SETTING_URL || row->type == SETTING_SECRET)
		return;
	ck_assert_msg(settings_value_parse_value(row, row->fallback, &number, &err) == 0, "%s",
		row->name);
	settings_value_show_number(row, number, shown, sizeof shown);
	ck_assert_msg(settings_value_parse_value(row, shown, &again, &err) == 0, "%s shows %s",
		row->name, shown);
	ck_assert_uint_eq(number, again);
}
END_TEST

START_TEST(table_is_consistent)
{
	const struct setting *row = &setting_table[_i];

	ck_assert_ptr_nonnull(row->doc);
	ck_assert_ptr_nonnull(row->environment);
	ck_assert_msg(row->type != SETTING_SECRET || row->flag == NULL,
		"%s: flags show in the process list", row->name);
	for (int i = 0; i < _i; i++) {
		ck_assert_str_ne(row->environment, setting_table[i].environment);
		ck_assert(row->flag == NULL || setting_table[i].flag == NULL ||
			strcmp(row->flag, setting_table[i].flag) != 0);
	}
}
END_TEST

/* Whether any byte of the program's start arguments or environment still shows the text. */
static bool still_shown(char *const *argv, char *const *environment, const char *text)
{
	for (; *argv != NULL; argv++)
		if (strstr(*argv, text) != NULL)
			return true;
	for (; *environment != NULL; environment++)
		if (strstr(*environment, text) != NULL)
			return true;
	return false;
}

/* Each setting, from each source, with a secret in it: a new setting is tested as soon as it is
 * in the table. */
START_TEST(what_is_secret_is_scrubbed)
{
	const struct setting *row = &setting_table[_i];
	bool secret = row->type == SETTING_SECRET || row->type == SETTING_URL;
	static const char value[] = "postgresql://pierre:hunter2@host/db";
	char variable[128], joined[128], flag[64], separate[64], program[] = "pierre-dbd";
	char *environment[] = {variable, NULL};
	char *argv[] = {program, joined, flag, separate, NULL};

	(void)snprintf(variable, sizeof variable, "%s=%s", row->environment, value);
	(void)snprintf(joined, sizeof joined, "--%s=%s", row->flag != NULL ? row->flag : "", value);
	(void)snprintf(flag, sizeof flag, "--%s", row->flag != NULL ? row->flag : "");
	(void)snprintf(separate, sizeof separate, "%s", value);
	if (row->flag == NULL)
		argv[1] = NULL;
	process_scrub(argv, environment);
	ck_assert_msg(still_shown(argv, environment, "hunter2") == !secret, "%s", row->environment);
	if (row->type == SETTING_SECRET)
		ck_assert_uint_eq(strlen(strchr(variable, '=') + 1), 0);
}
END_TEST

START_TEST(choices_are_words_of_the_table)
{
	const struct setting *row = &setting_table[_i];
	size_t length;
	uint64_t number, count = 0;

	if (row->type != SETTING_CHOICE)
		return;
	for (;; count++) {
		const char *word = settings_value_choice(row, count, &length);
		char text[64], shown[64];

		if (length == 0)
			break;
		(void)snprintf(text, sizeof text, "%.*s", (int)length, word);
		ck_assert_int_eq(settings_value_parse_value(row, text, &number, &err), 0);
		ck_assert_uint_eq(number, count);
		ck_assert_str_eq(
			settings_value_show_number(row, number, shown, sizeof shown), text);
	}
	ck_assert_uint_ge(count, 2);
	ck_assert_ptr_null(strstr(row->doc, row->words));
	for (uint64_t i = 0; _i == SETTING_ID_default_role && i < count; i++) {
		const char *word = settings_value_choice(row, i, &length);
		enum role role;

		ck_assert(role_parse(word, length, &role) && (uint64_t)role == i);
	}
}
END_TEST

static const struct {
	const char *flags, *environment, *says;
	int code;
} wrong[] = {
	{"--no-such-thing", "", "--no-such-thing", EX_USAGE},
	{"--sokcet=/x", "", "did you mean --socket?", EX_USAGE},
	{"--pool", "", "needs a value", EX_USAGE},
	{"stray", "", "stray", EX_USAGE},
	{"--", "", "option", EX_USAGE},
	{"--version=2", "", "takes no value", EX_USAGE},
	{"--help=html", "", "markdown", EX_USAGE},
	{"--encryption-key=abc", "", "did you mean --encryption-key-file?", EX_USAGE},
	{"--connections=0", "", "--connections: \"0\" is out of range: 1 to 100000", EX_USAGE},
	{"", "PIERRE_DBD_CONNECTIONS=0", "PIERRE_DBD_CONNECTIONS: \"0\" is out of range",
		EX_CONFIG},
	{"--env-file=none.env", "", "none.env", EX_CONFIG},
	{"--pool=2\n--pool-min=3", "", "pool-min", EX_CONFIG},
	{"--encryption-key-file=k", "ENCRYPTION_KEY=canary", "both", EX_CONFIG},
};

START_TEST(what_is_wrong_is_said)
{
	ck_assert_int_eq(parse(wrong[_i].flags, wrong[_i].environment, false), -1);
	ck_assert_int_eq(err.exit_code, wrong[_i].code);
	ck_assert_msg(strstr(err.message, wrong[_i].says) != NULL, "%s", err.message);
	ck_assert_ptr_null(strstr(err.message, "canary"));
}
END_TEST

START_TEST(commands)
{
	ck_assert_int_eq(parse("--help", "PIERRE_DBD_POOL=nonsense", false), 0);
	ck_assert_int_eq(command, COMMAND_HELP);
	ck_assert_int_eq(parse("--help=markdown", "", false), 0);
	ck_assert_int_eq(command, COMMAND_HELP_MARKDOWN);
	ck_assert_int_eq(parse("--check-config=json", "", false), 0);
	ck_assert_int_eq(command, COMMAND_CHECK_CONFIG_JSON);
	ck_assert_int_eq(parse("-V", "", false), 0);
	ck_assert_int_eq(command, COMMAND_VERSION);
	ck_assert_int_eq(parse("--generate-key", "", false), 0);
	ck_assert_int_eq(command, COMMAND_GENERATE_KEY);
	ck_assert_int_eq(parse("--check-config", "PIERRE_DBD_POOL=nonsense", false), -1);
	ck_assert_int_eq(command, COMMAND_CHECK_CONFIG);
}
END_TEST

START_TEST(reload_takes_what_may_change)
{
	struct settings_changes changes;

	write_file(".env",
		"PIERRE_DBD_CONNECTIONS=7\nPIERRE_DBD_POOL=3\nPIERRE_DBD_BATCH_LIMIT=5\n"
		"PIERRE_DBD_ACCESS=user:0=read\n");
	ck_assert_int_eq(parse("--batch-limit=9", "", true), 0);
	write_file(".env",
		"PIERRE_DBD_CONNECTIONS=8\nPIERRE_DBD_POOL=4\nPIERRE_DBD_BATCH_LIMIT=6\n"
		"DATABASE_URL=sqlite:other\n");
	ck_assert_int_eq(settings_reload(&settings, NULL, &changes, &err), 0);
	ck_assert_uint_eq(settings.connections, 8);
	ck_assert_uint_eq(settings.pool, 3);
	ck_assert_uint_eq(settings.batch_limit, 9); /* the flag still wins */
	ck_assert_str_eq(settings.access, "");
	ck_assert_str_eq(settings.database_url, "sqlite:./data/pierre.db");
	ck_assert_str_eq(changes.restart, "database_url,pool");
	ck_assert_str_eq(changes.taken, "access,connections");
	ck_assert_int_eq(unlink(".env"), 0);
	ck_assert_int_eq(settings_reload(&settings, NULL, &changes, &err), 0);
	ck_assert_uint_eq(settings.connections, 1024);
}
END_TEST

START_TEST(broken_reload_changes_nothing)
{
	struct settings_changes changes;

	write_file("other.env", "PIERRE_DBD_CONNECTIONS=7\n");
	ck_assert_int_eq(parse("--env-file=other.env", "", false), 0);
	write_file("other.env", "PIERRE_DBD_CONNECTIONS=8\nPIERRE_DBD_POOL=nonsense\n");
	ck_assert_int_eq(settings_reload(&settings, NULL, &changes, &err), -1);
	ck_assert_uint_eq(settings.connections, 7);
	ck_assert_int_eq(unlink("other.env"), 0);
	ck_assert_int_eq(settings_reload(&settings, NULL, &changes, &err), -1);
	ck_assert_uint_eq(settings.connections, 7);
}
END_TEST

START_TEST(secrets_are_not_shown)
{
	char shown[256];
	struct buffer json = {.cap = 0};

	ck_assert_int_eq(parse("",
				 "ENCRYPTION_KEY=canary1\n"
				 "DATABASE_URL=postgresql://u:canary2@h/d?sslpassword=canary3",
				 false),
		0);
	ck_assert_str_eq(
		settings_value_show(&settings, SETTING_ID_encryption_key, shown, sizeof shown),
		"***");
	ck_assert_str_eq(
		settings_value_show(&settings, SETTING_ID_database_url, shown, sizeof shown),
		"postgresql://u:***@h/d?sslpassword=***");
	settings_text_write_json(&settings, &json);
	buffer_byte(&json, '\0');
	ck_assert_int_eq(json.failure, BUFFER_OK);
	ck_assert_ptr_null(strstr(json.data, "canary"));
	ck_assert_ptr_nonnull(strstr(
		json.data, "\"pool\":{\"value\":\"8\",\"source\":\"default\",\"reloads\":false}"));
	buffer_free(&json);
}
END_TEST

/* A file that others can read causes a warning only when it contains something secret. */
START_TEST(which_urls_are_secret)
{
	write_file(".env", "DATABASE_URL=sqlite:./x.db\n");
	ck_assert_int_eq(chmod(".env", 0644), 0);
	ck_assert_int_eq(parse("", "", true), 0);
	ck_assert_ptr_null(settings.warnings);
	write_file(".env", "DATABASE_URL=postgresql://u:password@h/d\n");
	ck_assert_int_eq(parse("", "", true), 0);
	ck_assert_ptr_nonnull(strstr(settings.warnings, "chmod 600"));
}
END_TEST

START_TEST(no_file_at_all)
{
	write_file(".env", "PIERRE_DBD_POOL=3\n");
	ck_assert_int_eq(parse("--env-file=/dev/null", "", true), 0);
	ck_assert_uint_eq(settings.pool, 8);
	ck_assert_int_eq(parse("--env-file=/dev/zero", "", true), -1);
}
END_TEST

START_TEST(warnings)
{
	write_file(".env", "PIERRE_DBD_SOKET=x\nOTHER=y\nENCRYPTION_KEY=k\n");
	ck_assert_int_eq(chmod(".env", 0644), 0);
	ck_assert_int_eq(parse("", "", true), 0);
	ck_assert_ptr_nonnull(settings.warnings);
	ck_assert_ptr_nonnull(strstr(settings.warnings, "PIERRE_DBD_SOKET"));
	ck_assert_ptr_nonnull(strstr(settings.warnings, "chmod 600"));
	ck_assert_ptr_null(strstr(settings.warnings, "OTHER"));
	ck_assert_int_eq(chmod(".env", 0600), 0);
	write_file(".env", "OTHER=y\nENCRYPTION_KEY=k\n");
	ck_assert_int_eq(parse("", "", true), 0);
	ck_assert_ptr_null(settings.warnings);
	ck_assert_int_eq(
		parse("", "PIERRE_DBD_POOOL=3\nOTHER=y\nPIERRE_DBD_POOL=4\nPIERRE_DBD_=\n", false),
		0);
	ck_assert_str_eq(settings.warnings,
		"there is no setting PIERRE_DBD_POOOL; did you mean PIERRE_DBD_POOL?\n");
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, enter_folder, leave_folder);
	tcase_add_test(tests, defaults);
	tcase_add_test(tests, flags_win_over_environment_over_file);
	tcase_add_test(tests, empty_counts_as_not_given);
	tcase_add_test(tests, booleans);
	tcase_add_loop_test(tests, value_forms, 0, sizeof values / sizeof *values);
	tcase_add_loop_test(tests, every_default_is_a_value_and_shows_itself, 0, SETTING_ROWS);
	tcase_add_loop_test(tests, table_is_consistent, 0, SETTING_ROWS);
	tcase_add_loop_test(tests, what_is_secret_is_scrubbed, 0, SETTING_ROWS);
	tcase_add_loop_test(tests, choices_are_words_of_the_table, 0, SETTING_ROWS);
	tcase_add_loop_test(tests, what_is_wrong_is_said, 0, sizeof wrong / sizeof *wrong);
	tcase_add_test(tests, commands);
	tcase_add_test(tests, reload_takes_what_may_change);
	tcase_add_test(tests, broken_reload_changes_nothing);
	tcase_add_test(tests, secrets_are_not_shown);
	tcase_add_test(tests, which_urls_are_secret);
	tcase_add_test(tests, no_file_at_all);
	tcase_add_test(tests, warnings);
	return unit_run("settings", tests, true);
}
