/* Recognises an installation by its tables and their columns, not by one table's name. The
 * migrations up to the file's version run in memory, and the file must contain the result. Anything
 * else in the file belongs to its owner. */
#include "owner.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "../migrate.h"

#define OUR_TABLES                                                                                 \
	"FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@'"

/* Writes "a, b, c and 3 more", for a message. */
static void list_tables(struct session *session, char *out, size_t size)
{
	sqlite3_stmt *statement = NULL;
	size_t length = 0;
	int count = 0;

	*out = '\0';
	if (sqlite3_prepare_v2(session->db, "SELECT name " OUR_TABLES " ORDER BY name", -1,
		    &statement, NULL) != SQLITE_OK)
		return;
	for (; sqlite3_step(statement) == SQLITE_ROW; count++)
		if (length + 40 < size)
			length += (size_t)snprintf(out + length, size - length, "%s%.30s",
				count > 0 ? ", " : "",
				(const char *)sqlite3_column_text(statement, 0));
	if (count > 0 && length + 40 >= size)
		(void)snprintf(out + length, size - length, " … (%d in all)", count);
	sqlite3_finalize(statement);
}

static int foreign(struct session *session, const char *table, const char *columns, struct err *err)
{
	char found[80];

	list_tables(session, found, sizeof found);
	if (columns == NULL)
		return err_exit(err, EX_DATAERR,
			"%.100s is another program's database: it has tables, but none of %s: %s",
			sqlite3_db_filename(session->db, "main"), table, found);
	return err_exit(err, EX_DATAERR,
		"%.100s is another program's database: its table %s lacks the columns %s; it "
		"has %s",
		sqlite3_db_filename(session->db, "main"), table, columns, found);
}

static bool has_column(struct session *session, const char *table, const char *column)
{
	char sql[256];

	sqlite3_snprintf(sizeof sql, sql,
		"SELECT count(*) FROM pragma_table_xinfo(%Q) WHERE name = %Q COLLATE NOCASE", table,
		column);
	return session_integer(session, sql) > 0;
}

/* At least as many columns as the reference has. */
static int check_columns(
	struct session *session, struct session *reference, const char *table, struct err *err)
{
	sqlite3_stmt *statement = NULL;
	char lacking[100] = "";
	size_t length = 0;
	int code = sqlite3_prepare_v2(
		reference->db, "SELECT name FROM pragma_table_xinfo(?1)", -1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
	while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *column = (const char *)sqlite3_column_text(statement, 0);

		if (column != NULL && !has_column(session, table, column) &&
			length + 40 < sizeof lacking)
			length += (size_t)snprintf(lacking + length, sizeof lacking - length,
				"%s%.30s", length > 0 ? ", " : "", column);
		code = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	if (code != SQLITE_DONE)
		return session_failed(reference, "the reference schema", err);
	return length == 0 ? 0 : foreign(session, table, lacking, err);
}

/* Before its upgrade an installation may lack later tables, which the migrations create, but never
 * the users. */
static int owner_check_tables(
	struct session *session, struct session *reference, bool all, struct err *err)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(reference->db,
		"SELECT name " OUR_TABLES " ORDER BY name = 'users' DESC, name", -1, &statement,
		NULL);
	int result = 0;

	while (code == SQLITE_OK && result == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *table = (const char *)sqlite3_column_text(statement, 0);

		if (table != NULL && session_has_table(session, table))
			result = check_columns(session, reference, table, err);
		else if (table == NULL || all || strcmp(table, "users") == 0)
			result = foreign(session, table != NULL ? table : "?", NULL, err);
		code = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	return result < 0 || code == SQLITE_DONE
		? result
		: session_failed(reference, "the reference schema", err);
}

int owner_check(struct session *session, struct err *err)
{
	int64_t objects = session_integer(session,
		"SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite@_%' ESCAPE '@'");
	int64_t version = migrate_version(session, err);
	struct session reference = {0};
	int result;

	if (version < 0)
		return -1;
	if (objects < 0)
		return session_failed(session, sqlite3_db_filename(session->db, "main"), err);
	if (objects == 0)
		return 0;
	result = migrate_reference(&reference, version > 0 ? version : 1, err);
	if (result == 0)
		result = owner_check_tables(session, &reference, version > 0, err);
	session_close(&reference);
	return result;
}
