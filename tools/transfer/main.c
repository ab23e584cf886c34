/* pierre-transfer (pierre-dbctl transfer): copies an installation from one database to another,
 * SQLite or PostgreSQL on either side. This file has the options, the sequence of steps, and the
 * report.
 *
 * Tables are data (tables.c): each column has a canonical form, which both ends read and write.
 * Written rows are read again and compared by count and checksum before the commit.
 *
 * The source is read in one snapshot and never written. The target is written in one transaction:
 * an interrupted transfer leaves it empty.
 *
 * One thread. Memory does not grow with the rows, except about a hundred bytes for each API key and
 * agent when the target is PostgreSQL. */
#include <getopt.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "../../backends/store.h"
#include "../../backends/store_redact.h"
#include "../../protocol/json/json_add.h"
#include "../../protocol/sqlite_url.h"
#include "../../protocol/value.h"
#include "../../daemon/settings/key.h"
#include "../../daemon/base/process.h"
#include "../../daemon/settings/settings.h"
#include "end.h"
#include "postgres_end.h"
#include "row.h"
#include "sqlite_end.h"
#include "tables.h"
#include "tokens.h"

struct transfer {
	const char *from, *to, *key_file, *env_file;
	bool json, terminal;
	struct seal *seal;
	struct end *source, *target;
	int64_t all, done; /* rows of all tables, each counted for two reads */
	uint64_t tokens;
	double began, shown;
	struct checksum sums[16];
};

static void transfer_main_show(struct transfer *transfer, const char *what, const char *table)
{
	double now = clock_seconds(), took = now - transfer->began, part;

	if (!transfer->terminal || now - transfer->shown < 0.1)
		return;
	transfer->shown = now;
	part = transfer->all > 0 ? (double)transfer->done / (2 * (double)transfer->all) : 1;
	(void)fprintf(stderr, "\r\033[K%s %s: %.0f %%, %.0f rows/s, %.0f s left", what, table,
		part * 100, (double)transfer->done / took, part > 0 ? took / part - took : 0);
	(void)fflush(stderr);
}

static void clear_line(const struct transfer *transfer)
{
	if (transfer->terminal && transfer->shown > 0)
		(void)fputs("\r\033[K", stderr);
}

/* Work */

static int transfer_main_count_rows(struct transfer *transfer, struct err *err)
{
	for (const struct table_of *table = transfer_tables; table->name != NULL; table++) {
		int64_t rows;

		if (transfer->source->ops->count(transfer->source, table, &rows, err) < 0)
			return -1;
		transfer->all += rows;
	}
	return 0;
}

/* Reads a table to its end; writes it to the target when `put` is set. */
static int transfer_main_pass(struct transfer *transfer, struct end *from,
	const struct table_of *table, struct end *put, struct checksum *sum, struct err *err)
{
	bool users = strcmp(table->name, "users") == 0 && put == NULL;
	struct arena arena;
	int code;

	arena_init(&arena);
	arena.wipe = true;
	code = from->ops->read(from, table, err);
	while (code >= 0) {
		struct value values[TABLE_COLUMNS_MAX] = {0};

		arena_reset(&arena);
		code = from->ops->next(from, table, values, &arena, err);
		if (code <= 0)
			break;
		code = row_normalize(table, values, &arena, from->shown, err);
		if (code == 0 && tokens_stay(table, values))
			continue;
		if (code == 0 && put != NULL)
			code = tokens_convert(
				table, values, from->format, transfer->seal, &arena, err);
		if (code == 0 && put != NULL)
			code = put->ops->put(put, table, values, err);
		if (code == 0 && users)
			code = tokens_open(
				table, values, transfer->seal, &arena, &transfer->tokens, err);
		if (code == 0)
			row_checksum_add(sum, table, values, &arena);
		transfer->done++;
		transfer_main_show(transfer, put != NULL ? "copying" : "checking", table->name);
	}
	arena_free(&arena);
	return code;
}

/* The target only counts rows. To identify the refused one, reads the source again, which has the
 * same order. */
static void name_refused(struct transfer *transfer, const struct table_of *table, struct err *err)
{
	struct end *source = transfer->source;
	struct value values[TABLE_COLUMNS_MAX] = {0};
	char why[ERR_MESSAGE_MAX];
	struct arena arena;
	struct err again;
	int64_t row = 0;

	(void)snprintf(why, sizeof why, "%s", err->message);
	arena_init(&arena);
	arena.wipe = true;
	if (source->ops->read(source, table, &again) == 0)
		while (row < transfer->target->refused) {
			arena_reset(&arena);
			if (source->ops->next(source, table, values, &arena, &again) != 1)
				break;
			row++;
		}
	if (row > 0 && row == transfer->target->refused)
		(void)row_fail(table, values, source->shown, err, "%s", why);
	arena_free(&arena);
}

static int transfer_main_copy(struct transfer *transfer, struct err *err)
{
	for (const struct table_of *table = transfer_tables; table->name != NULL; table++)
		if (transfer->target->ops->write(transfer->target, table, err) < 0 ||
			transfer_main_pass(transfer, transfer->source, table, transfer->target,
				&transfer->sums[table - transfer_tables], err) < 0 ||
			transfer->target->ops->written(transfer->target, table, err) < 0) {
			if (transfer->target->refused > 0)
				name_refused(transfer, table, err);
			return -1;
		}
	return 0;
}

/* Reads the target's rows back, before they are visible to others. */
static int transfer_main_check(struct transfer *transfer, struct err *err)
{
	for (const struct table_of *table = transfer_tables; table->name != NULL; table++) {
		const struct checksum *sent = &transfer->sums[table - transfer_tables];
		struct checksum found = {0};

		if (transfer_main_pass(transfer, transfer->target, table, NULL, &found, err) < 0)
			return -1;
		if (found.rows != sent->rows || found.sum != sent->sum)
			return err_exit(err, EX_SOFTWARE,
				"table %s differs: %" PRId64 " rows were sent, %" PRId64
				" arrived%s",
				table->name, sent->rows, found.rows,
				found.rows == sent->rows ? ", with different content" : "");
	}
	return 0;
}

static int transfer_main_work(struct transfer *transfer, struct err *err)
{
	enum backend_id from, to;

	if (store_check_url(transfer->from, &from, err) < 0 ||
		store_check_url(transfer->to, &to, err) < 0)
		return -1;
	if ((from == BACKEND_SQLITE ? sqlite_end_open : postgres_end_open)(
		    &transfer->source, transfer->from, false, transfer->seal, err) < 0 ||
		transfer_main_count_rows(transfer, err) < 0)
		return -1;
	if ((to == BACKEND_SQLITE ? sqlite_end_open : postgres_end_open)(
		    &transfer->target, transfer->to, true, transfer->seal, err) < 0)
		return -1;
	transfer->began = clock_seconds();
	/* Rows of any format become those of the target, which are then read as its daemon will. */
	seal_set_format(transfer->seal,
		transfer->target->format == BINDING_NONE ? BINDING_NONE : BINDING_CHANGES, true);
	if (transfer_main_copy(transfer, err) < 0)
		return -1;
	seal_set_format(transfer->seal, transfer->target->format, true);
	if (transfer_main_check(transfer, err) < 0)
		return -1;
	return transfer->target->ops->commit(transfer->target, err);
}

static void print_outcome(const struct transfer *transfer, double took)
{
	int64_t rows = 0;

	for (const struct table_of *table = transfer_tables; table->name != NULL; table++) {
		const struct checksum *sum = &transfer->sums[table - transfer_tables];

		rows += sum->rows;
		(void)printf("%-20s %10" PRId64 " rows  %016" PRIx64 "%016" PRIx64 "\n",
			table->name, sum->rows, (uint64_t)(sum->sum >> 64), (uint64_t)sum->sum);
	}
	(void)printf("%" PRId64 " rows copied and compared, %" PRIu64
		     " tokens opened, in %.1f s (%.0f rows/s)\n",
		rows, transfer->tokens, took, took > 0 ? (double)rows / took : 0.0);
}

static void print_line(struct buffer *out, FILE *stream)
{
	buffer_byte(out, '\n');
	(void)fwrite(out->data, 1, out->length, stream);
	buffer_free(out);
}

static void print_outcome_json(const struct transfer *transfer, double took)
{
	struct buffer out = {.cap = 0};
	int64_t rows = 0;

	json_add_object(&out, NULL);
	json_add_object(&out, "tables");
	for (const struct table_of *table = transfer_tables; table->name != NULL; table++) {
		const struct checksum *sum = &transfer->sums[table - transfer_tables];
		char text[33];

		(void)snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64,
			(uint64_t)(sum->sum >> 64), (uint64_t)sum->sum);
		json_add_object(&out, table->name);
		json_add_integer(&out, "rows", sum->rows);
		json_add_text(&out, "checksum", text);
		json_add_end(&out, '}');
		rows += sum->rows;
	}
	json_add_end(&out, '}');
	json_add_integer(&out, "rows", rows);
	json_add_count(&out, "tokens", transfer->tokens);
	json_add_real(&out, "seconds", (double)(int64_t)(took * 1000) / 1000);
	json_add_end(&out, '}');
	print_line(&out, stdout);
}

static void transfer_main_tell(const struct transfer *transfer, double took)
{
	clear_line(transfer);
	(transfer->json ? print_outcome_json : print_outcome)(transfer, took);
}

/* Options */

static int usage(FILE *out, int code)
{
	(void)fputs("usage: pierre-dbctl transfer [--from URL] [--to URL]\n"
		    "        [--encryption-key-file FILE] [--env-file FILE] [--json]\n"
		    "See pierre-dbctl transfer --help.\n",
		out);
	return code;
}

/* The same form as pierre-dbctl's. */
static int transfer_main_fail(const struct transfer *transfer, int code, const char *text)
{
	struct buffer out = {.cap = 0};

	if (!transfer->json || !utf8_valid(text, strlen(text))) {
		(void)fprintf(stderr, "pierre-dbctl transfer: %s\n", text);
		return code;
	}
	json_add_object(&out, NULL);
	json_add_object(&out, "error");
	json_add_text(&out, "kind", code == EX_USAGE ? "usage" : "failed");
	json_add_integer(&out, "code", 0);
	json_add_text(&out, "message", text);
	json_add_text(&out, "outcome", "none");
	json_add_bool(&out, "retryable", false);
	json_add_end(&out, '}');
	json_add_end(&out, '}');
	print_line(&out, stderr);
	return code;
}

/* A password among the arguments is visible to every user of the machine. */
static bool shows_password(const char *url)
{
	char shown[1024];

	store_redact_url(url, shown, sizeof shown);
	return strlen(url) >= sizeof shown ||
		strcmp(url, shown) != 0; /* a truncated argument counts as showing one */
}

static const char *transfer_main_variable(const char *name)
{
	char *text = getenv(name);

	if (text != NULL)
		text = sqlite_url_trim(text);
	return text != NULL && *text != '\0' ? text : NULL;
}

/* -1: continue. */
static int options(struct transfer *transfer, int argc, char **argv)
{
	static const struct option known[] = {{"from", 1, NULL, 'f'}, {"to", 1, NULL, 't'},
		{"encryption-key-file", 1, NULL, 'k'}, {"env-file", 1, NULL, 'e'},
		{"json", 0, NULL, 'j'}, {"help", 0, NULL, 'h'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) >= 0)
		switch (option) {
		case 'f':
		case 't':
			if (shows_password(optarg))
				return transfer_main_fail(transfer, EX_USAGE,
					"a password among the arguments is visible to all users: "
					"put the URL into $FROM_DATABASE_URL or $TO_DATABASE_URL");
			*(option == 'f' ? &transfer->from : &transfer->to) =
				sqlite_url_trim(optarg);
			break;
		case 'k':
			transfer->key_file = optarg;
			break;
		case 'e':
			transfer->env_file = optarg;
			break;
		case 'j':
			transfer->json = true;
			break;
		case 'h':
			return usage(stdout, 0);
		default:
			return usage(stderr, EX_USAGE);
		}
	if (optind < argc)
		return usage(stderr, EX_USAGE);
	if (transfer->from == NULL)
		transfer->from = transfer_main_variable("FROM_DATABASE_URL");
	if (transfer->to == NULL)
		transfer->to = transfer_main_variable("TO_DATABASE_URL");
	if (transfer->from == NULL || transfer->to == NULL)
		return transfer_main_fail(
			transfer, EX_USAGE, "name both databases: --from URL and --to URL");
	return -1;
}

static int transfer_main_read_key(struct transfer *transfer, struct err *err)
{
	static char name[] = "pierre-transfer", key_option[] = "--encryption-key-file",
		    env_option[] = "--env-file";
	char *argv[6] = {name};
	int argc = 1;
	struct settings settings;
	enum settings_command command;
	int result;

	if (transfer->key_file != NULL) {
		argv[argc++] = key_option;
		argv[argc++] = (char *)(uintptr_t)transfer->key_file;
	}
	if (transfer->env_file != NULL) {
		argv[argc++] = env_option;
		argv[argc++] = (char *)(uintptr_t)transfer->env_file;
	}
	result = settings_read(&settings, argc, argv, environ, true, &command, err);
	if (result == 0)
		result = key_load(&settings, getenv("CREDENTIALS_DIRECTORY"), &transfer->seal, err);
	settings_free(&settings);
	return result;
}

int main(int argc, char **argv)
{
	struct transfer transfer = {.began = clock_seconds()};
	const char *term = transfer_main_variable("TERM");
	struct err err = {0};
	int code;

	process_harden();
	code = options(&transfer, argc, argv);
	if (code >= 0)
		return code;
	if (sodium_init() < 0)
		return transfer_main_fail(&transfer, EX_OSERR, "libsodium cannot be used");
	transfer.terminal = !transfer.json && isatty(STDERR_FILENO) && term != NULL &&
		strcmp(term, "dumb") != 0;
	code = transfer_main_read_key(&transfer, &err);
	process_scrub(argv, environ);
	if (code == 0)
		code = transfer_main_work(&transfer, &err);
	if (code == 0) {
		transfer_main_tell(&transfer, clock_seconds() - transfer.began);
	} else {
		clear_line(&transfer);
		code = transfer_main_fail(
			&transfer, err.exit_code != 0 ? err.exit_code : EX_IOERR, err.message);
	}
	if (transfer.target != NULL)
		transfer.target->ops->close(transfer.target);
	if (transfer.source != NULL)
		transfer.source->ops->close(transfer.source);
	seal_free(transfer.seal);
	return code;
}
