/* Descriptions of the settings: --help, its Markdown form, --check-config, JSON. */
#include "settings.h"

#include <string.h>

#include "../../protocol/json/json_add.h"
#include "../../protocol/value.h"

enum { HELP_COLUMN = 30, HELP_WIDTH = 80 };

static const char intro[] =
	"pierre-dbd: the data layer of Pierre, as JSON-RPC 2.0 calls on a Unix socket.\n"
	"\n"
	"Usage: pierre-dbd [OPTION]...\n"
	"\n"
	"Examples:\n"
	"  pierre-dbd --generate-key > pierre.key && chmod 600 pierre.key\n"
	"  pierre-dbd --encryption-key-file pierre.key\n"
	"  DATABASE_URL=postgresql://pierre@db.example.com/pierre \\\n"
	"    pierre-dbd --encryption-key-file pierre.key\n"
	"\n"
	"Commands, which run instead of the daemon:\n"
	"  --generate-key              print a new key\n"
	"  --check-config[=json]       print the settings and their sources; exit code 78\n"
	"                              if they are wrong\n"
	"  --migrate-only              update the schema; needs no key\n"
	"  --verify[=json]             check the database and decrypt every token,\n"
	"                              without changes; exit code 65 if the database is\n"
	"                              damaged, 77 if the key is wrong\n"
	"  --restore[=json] FILE       replace the SQLite database by a backup while no\n"
	"                              daemon runs: check the backup, rename the old\n"
	"                              files\n"
	"  --help, -h                  print this text; --help=markdown prints the\n"
	"                              settings as a table\n"
	"  --version, -V               print the version\n"
	"\n"
	"Each setting is an option, an environment variable, or a line of the\n"
	"configuration file, in this order of precedence. SIGHUP reloads those marked *\n"
	"from that file. Times: 500ms, 30s, 5m, 1h. Sizes: 64KiB, 1MiB.\n";

static const char outro[] =
	"\n"
	"Signals: SIGTERM and SIGINT stop it gracefully, a second one immediately; SIGHUP\n"
	"reads the .env file again.\n"
	"Exit codes (sysexits.h): 0 success, 64 usage, 65 bad database file, 69 database\n"
	"unreachable or no AES instructions, 73 cannot create, 74 I/O, 75 another daemon\n"
	"holds the socket or the file, 77 wrong key, 78 configuration.\n";

/* Prints text wrapped at HELP_WIDTH, starting at HELP_COLUMN. */
static void print_wrapped(FILE *out, const char *text)
{
	size_t column = HELP_COLUMN;

	while (*text != '\0') {
		size_t word = strcspn(text, " ");

		if (column > HELP_COLUMN && column + 1 + word > HELP_WIDTH) {
			(void)fprintf(out, "\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		} else if (column > HELP_COLUMN) {
			(void)fputc(' ', out);
			column++;
		}
		(void)fprintf(out, "%.*s", (int)word, text);
		column += word;
		text += word;
		while (*text == ' ')
			text++;
	}
	(void)fputc('\n', out);
}

static const char *placeholder(const struct setting *row)
{
	static const char *const names[] = {
		[SETTING_TEXT] = "TEXT",
		[SETTING_URL] = "URL",
		[SETTING_SECRET] = "",
		[SETTING_BOOL] = "",
		[SETTING_COUNT] = "N",
		[SETTING_BYTES] = "SIZE",
		[SETTING_TIME] = "TIME",
		[SETTING_MODE] = "MODE",
		[SETTING_CHOICE] = "NAME",
	};

	return row->type == SETTING_TEXT && row->words != NULL ? row->words : names[row->type];
}

static void range_of(const struct setting *row, char *out, size_t size)
{
	char min[32], max[32];

	*out = '\0';
	if (row->type == SETTING_CHOICE)
		(void)snprintf(out, size, "%s", row->words);
	if (row->type == SETTING_COUNT || row->type == SETTING_BYTES || row->type == SETTING_TIME)
		(void)snprintf(out, size, "%s to %s",
			settings_value_show_number(row, (uint64_t)row->min, min, sizeof min),
			settings_value_show_number(row, (uint64_t)row->max, max, sizeof max));
}

static void write_row(FILE *out, const struct setting *row)
{
	char left[96], doc[512], range[80], extra[256];
	bool reload = (row->flags & SETTING_RELOAD) != 0;
	int length;

	if (row->flag != NULL)
		length = snprintf(left, sizeof left, " %c--%s%s %s", reload ? '*' : ' ',
			row->type == SETTING_BOOL ? "[no-]" : "", row->flag, placeholder(row));
	else
		length = snprintf(left, sizeof left, "  (environment alone)");
	range_of(row, range, sizeof range);
	(void)snprintf(extra, sizeof extra, " [%s%s%s%s%s]", row->environment,
		*row->fallback != '\0' ? "; default " : "", row->fallback,
		*range != '\0' ? "; " : "", range);
	(void)snprintf(doc, sizeof doc, "%s%s", row->doc, extra);
	(void)fprintf(out, "%-*s", HELP_COLUMN, left);
	if (length >= HELP_COLUMN)
		(void)fprintf(out, "\n%*s", HELP_COLUMN, "");
	print_wrapped(out, doc);
}

void settings_text_write_help(FILE *out)
{
	const char *group = "";

	(void)fputs(intro, out);
	for (unsigned id = 0; id < SETTING_ROWS; id++) {
		const struct setting *row = &setting_table[id];

		if (strcmp(row->group, group) != 0)
			(void)fprintf(out, "\n%s:\n", row->group);
		group = row->group;
		write_row(out, row);
	}
	(void)fputs(outro, out);
}

/* A | would end the table cell. */
static void print_cell(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		(void)fprintf(out, *text == '|' ? "\\|" : *text == '<' ? "&lt;" : "%c", *text);
}

void settings_text_write_markdown(FILE *out)
{
	const char *group = "";

	for (unsigned id = 0; id < SETTING_ROWS; id++) {
		const struct setting *row = &setting_table[id];
		char range[80];

		if (strcmp(row->group, group) != 0)
			(void)fprintf(out,
				"%s### %s\n\n| flag | environment | default | range | reloads | |\n"
				"|---|---|---|---|---|---|\n",
				*group != '\0' ? "\n" : "", row->group);
		group = row->group;
		range_of(row, range, sizeof range);
		if (row->flag != NULL)
			(void)fprintf(out, "| `--%s%s` ", row->type == SETTING_BOOL ? "[no-]" : "",
				row->flag);
		else
			(void)fprintf(out, "| ");
		(void)fprintf(out, "| `%s` | %s%s%s | ", row->environment,
			*row->fallback != '\0' ? "`" : "", row->fallback,
			*row->fallback != '\0' ? "`" : "");
		print_cell(out, range);
		(void)fprintf(out, " | %s | ", (row->flags & SETTING_RELOAD) != 0 ? "yes" : "");
		print_cell(out, row->doc);
		(void)fprintf(out, " |\n");
	}
}

static const char *source_name(const struct settings *settings, enum setting_id id)
{
	static const char *const names[] = {"default", "file", "environment", "flag"};

	return names[settings->source[id]];
}

void settings_text_write_config(const struct settings *settings, FILE *out)
{
	char value[1024];

	for (unsigned id = 0; id < SETTING_ROWS; id++)
		(void)fprintf(out, "%s=%s (%s)\n", setting_table[id].name,
			settings_value_show(settings, id, value, sizeof value),
			source_name(settings, id));
}

static void settings_text_write_value(
	const struct settings *settings, enum setting_id id, struct buffer *out)
{
	char value[1024];

	settings_value_show(settings, id, value, sizeof value);
	if (!utf8_valid(value, strlen(value)))
		*value = '\0'; /* a path in another encoding has no JSON form */
	json_add_text(out, "value", value);
}

static void settings_text_write_choices(const struct setting *row, struct buffer *out)
{
	char choice[64];
	size_t length = 1;

	json_add_array(out, "choices");
	for (uint64_t i = 0; row->type == SETTING_CHOICE && length > 0; i++) {
		const char *word = settings_value_choice(row, i, &length);

		(void)snprintf(choice, sizeof choice, "%.*s", (int)length, word);
		if (length > 0)
			json_add_text(out, NULL, choice);
	}
	json_add_end(out, ']');
}

void settings_text_write_list(const struct settings *settings, struct buffer *out)
{
	json_add_array(out, NULL);
	for (unsigned id = 0; id < SETTING_ROWS; id++) {
		const struct setting *row = &setting_table[id];

		json_add_object(out, NULL);
		json_add_text(out, "name", row->name);
		settings_text_write_value(settings, id, out);
		json_add_text(out, "default_value", row->fallback);
		json_add_text(out, "source", source_name(settings, id));
		json_add_bool(out, "reloads", (row->flags & SETTING_RELOAD) != 0);
		json_add_text(out, "flag", row->flag);
		json_add_text(out, "environment", row->environment);
		json_add_text(out, "doc", row->doc);
		settings_text_write_choices(row, out);
		json_add_end(out, '}');
	}
	json_add_end(out, ']');
}

void settings_text_write_json(const struct settings *settings, struct buffer *out)
{
	json_add_object(out, NULL);
	for (unsigned id = 0; id < SETTING_ROWS; id++) {
		json_add_object(out, setting_table[id].name);
		settings_text_write_value(settings, id, out);
		json_add_text(out, "source", source_name(settings, id));
		json_add_bool(out, "reloads", (setting_table[id].flags & SETTING_RELOAD) != 0);
		json_add_end(out, '}');
	}
	json_add_end(out, '}');
}
