#include "../verify.h"

#include <string.h>
#include <sysexits.h>

#include "keys.h"
#include "migrate.h"
#include "place.h"
#include "references.h"

static int failed(struct session *session, struct err *err)
{
	return session_failed(session, "the database cannot be read", err);
}

/* SQLite tells what is wrong with its pages and indexes in words of its own, which name tables and numbers only. */
static int check_integrity(struct verify_report *report, struct session *session, struct err *err)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(session->db, "PRAGMA integrity_check(20)", -1, &statement, NULL);

	while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(statement, 0);

		if (text == NULL || strcmp(text, "ok") != 0)
			verify_problem(report, "damaged: %s", text != NULL ? text : "?");
		code = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	if ((code & 0xFF) == SQLITE_CORRUPT) {
		verify_problem(report, "damaged: it cannot be read to its end");
		code = SQLITE_DONE;
	}
	return code == SQLITE_DONE ? 0 : failed(session, err);
}

static void note_reference(void *report, const char *table, const char *parent, int64_t rows)
{
	verify_problem(report, "%lld rows of %s refer to rows of %s that are not there", (long long)rows, table, parent);
}

static int check_references(struct verify_report *report, struct session *session, struct err *err)
{
	return references_each_dangling(session->db, note_reference, report) == SQLITE_OK ? 0 : failed(session, err);
}

static int count_table(void *report, const char *name, int64_t rows)
{
	verify_table(report, name, (uint64_t)rows);
	return 0;
}

static int check_tables(struct verify_report *report, struct session *session, struct err *err)
{
	verify_begin_tables(report);
	if (session_count_tables(session->db, count_table, report) != SQLITE_OK)
		return failed(session, err);
	verify_end_tables(report);
	if (!session_has_table(session, "users"))
		verify_problem(report, "it holds no table of users: it is no database of this daemon");
	report->schema = migrate_version(session, err);
	return report->schema < 0 ? -1 : migrate_check(session, false, err);
}

static int check_tokens(struct verify_report *report, struct session *session, struct seal *seal, struct err *err)
{
	struct verify_look look = {report, seal, err};
	struct err wrong = {0};

	if (keys_prove(session, &wrong) < 0) {
		report->wrong_key = wrong.exit_code == EX_NOPERM;
		verify_problem(report, "%s", wrong.message);
	}
	if (!session_has_table(session, "users"))
		return 0;
	return keys_each_token(session, verify_look_at_token, &look, err);
}

/* One after the other, and no further than a damaged file can be read. */
static int look_at_all(struct verify_report *report, struct session *session, struct seal *seal, struct err *err)
{
	if (check_integrity(report, session, err) < 0)
		return -1;
	if (report->problem_count > 0)
		return 0;
	if (check_references(report, session, err) < 0 || check_tables(report, session, err) < 0)
		return -1;
	return check_tokens(report, session, seal, err);
}

int sqlite_verify(struct verify_report *report, const char *url, struct seal *seal, struct err *err)
{
	struct session session = {0};
	struct place place;
	int result = place_find(&place, url, err);

	if (result == 0 && place.path == NULL)
		result = err_exit(err, EX_USAGE, "a database in memory cannot be looked at from outside");
	if (result == 0)
		result = session_open(&session, place.path, SESSION_READ, seal, err);
	if (result == 0 && session_step(session.begin) != SQLITE_OK)
		result = failed(&session, err);
	if (result == 0)
		result = look_at_all(report, &session, seal, err);
	session_close(&session);
	place_free(&place);
	return result;
}
