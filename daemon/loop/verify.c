#include "verify.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "../../backends/restore.h"
#include "../../backends/store.h"
#include "../../backends/store_redact.h"
#include "../../backends/verify.h"
#include "../../protocol/json/json_add.h"

/* The texts of `"a","b"` or `"a":1,"b":2`, one a line. */
static void print_items(const char *indent, const char *text, size_t length, char separator)
{
	bool quoted = false;

	if (length == 0)
		return;
	(void)fputs(indent, stdout);
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '"') {
			quoted = !quoted;
		} else if (text[i] == '\\' && i + 1 < length) {
			(void)putchar(text[++i]);
		} else if (!quoted && text[i] == separator) {
			(void)printf("\n%s", indent);
		} else if (!quoted && text[i] == ':') {
			(void)fputs(": ", stdout);
		} else {
			(void)putchar(text[i]);
		}
	}
	(void)putchar('\n');
}

static void daemon_verify_print_text(const char *shown, const struct verify_report *report)
{
	(void)printf("%s is %s: %s, schema %lld, %llu rows\n", shown,
		report->problem_count == 0 ? "sound" : "NOT sound", report->backend,
		(long long)report->schema, (unsigned long long)report->rows);
	if (report->tables.length > 2)
		print_items("  ", report->tables.data + 1, report->tables.length - 2, ',');
	if (report->unreadable == 0)
		(void)printf("%llu tokens, every one opens\n", (unsigned long long)report->tokens);
	else
		(void)printf("%llu tokens, %llu do not open\n", (unsigned long long)report->tokens,
			(unsigned long long)report->unreadable);
	if (report->problem_count > 0)
		(void)printf("%llu problems:\n", (unsigned long long)report->problem_count);
	print_items("  ", report->problems.data, report->problems.length, ',');
}

/* The output must be JSON whatever bytes a path has. */
static void add_path(struct buffer *out, const char *name, const char *text)
{
	json_add_text(
		out, name, text == NULL || utf8_valid(text, strlen(text)) ? text : "(not UTF-8)");
}

static void print_buffer(struct buffer *out)
{
	(void)printf("%.*s\n", (int)out->length, out->data != NULL ? out->data : "");
	buffer_free(out);
}

static void daemon_verify_print_json(const char *shown, const struct verify_report *report)
{
	struct buffer out = {0};

	json_add_object(&out, NULL);
	json_add_text(&out, "database", shown);
	json_add_bool(&out, "sound", report->problem_count == 0);
	json_add_text(&out, "backend", report->backend);
	json_add_integer(&out, "schema_version", report->schema);
	json_add_count(&out, "rows", report->rows);
	json_add_name(&out, "tables");
	if (report->tables.length > 0)
		buffer_append(&out, report->tables.data, report->tables.length);
	else
		buffer_text(&out, "{}");
	json_add_count(&out, "tokens", report->tokens);
	json_add_count(&out, "unreadable_tokens", report->unreadable);
	json_add_count(&out, "problem_count", report->problem_count);
	json_add_array(&out, "problems");
	buffer_append(&out, report->problems.data, report->problems.length);
	json_add_end(&out, ']');
	json_add_end(&out, '}');
	print_buffer(&out);
}

int verify_database(const char *url, struct seal *seal, bool json, struct err *err)
{
	struct verify_report report;
	char shown[512];
	int result = store_verify(&report, url, seal, err);

	if (result == 0 &&
		(report.tables.failure != BUFFER_OK || report.problems.failure != BUFFER_OK))
		result = err_exit(err, EX_OSERR, "out of memory");
	if (result == 0) {
		store_redact_url(url, shown, sizeof shown);
		(json ? daemon_verify_print_json : daemon_verify_print_text)(shown, &report);
		result = report.wrong_key ? EX_NOPERM : report.problem_count > 0 ? EX_DATAERR : 0;
		if (fflush(stdout) != 0)
			result = err_exit(err, EX_IOERR, "writing the output failed");
	}
	verify_free(&report);
	return result;
}

static void print_restored(const struct restore_report *report, const char *file, bool json)
{
	struct buffer out = {0};

	if (!json) {
		(void)printf("%s: restored from %s, %.1f MiB, schema %lld, checked\n", report->path,
			file, (double)report->bytes / (1 << 20), (long long)report->schema);
		if (report->set_aside != NULL)
			(void)printf("the old database is now %s\n", report->set_aside);
		return;
	}
	json_add_object(&out, NULL);
	add_path(&out, "database", report->path);
	add_path(&out, "from", file);
	add_path(&out, "set_aside", report->set_aside);
	json_add_integer(&out, "schema_version", report->schema);
	json_add_count(&out, "bytes", report->bytes);
	json_add_end(&out, '}');
	print_buffer(&out);
}

int verify_restore(const char *url, const char *file, struct seal *seal, bool json, struct err *err)
{
	struct restore_report report;
	int result = restore_sqlite(&report, url, file, seal, err);

	if (result == 0) {
		print_restored(&report, file, json);
		if (fflush(stdout) != 0)
			result = err_exit(err, EX_IOERR, "writing the output failed");
	}
	restore_free(&report);
	return result;
}
