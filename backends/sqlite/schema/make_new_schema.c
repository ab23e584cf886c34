/* Writes new_schema_sql (new_schema.h). The build runs it: make-new-schema OUTPUT
 *
 * All migrations run on an empty database in memory. Then each object's text is written in the
 * order of creation, and behind each table its rows: before a trigger that they would fire. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "../files/widen.h"
#include "upgrade.h"

static int make_failed(sqlite3 *db, const char *what)
{
	(void)fprintf(stderr, "make-new-schema: %s: %s\n", what, sqlite3_errmsg(db));
	return -1;
}

static int run_all(sqlite3 *db)
{
	if (widen_register(db) != SQLITE_OK)
		return make_failed(db, "widen_check");
	for (const struct migration *migration = sqlite_migrations; migration->name != NULL;
		migration++)
		if (upgrade_run(db, migration) != SQLITE_OK)
			return make_failed(db, migration->name);
	return 0;
}

/* A statement as literals of C, a line each. */
static void write_statement(FILE *out, const char *sql)
{
	(void)fputs("\t\"", out);
	for (; *sql != '\0'; sql++) {
		if (*sql == '\n') {
			(void)fputs("\\n\"\n\t\"", out);
			continue;
		}
		if (*sql == '"' || *sql == '\\' || *sql == '?') /* "??" could begin a trigraph */
			(void)fputc('\\', out);
		(void)fputc(*sql, out);
	}
	(void)fputs(";\\n\"\n", out);
}

/* Calls `each` with the first column of each row. parameter: the statement's; NULL: it has none. */
static int each_text(sqlite3 *db, const char *sql, const char *parameter,
	int (*each)(sqlite3 *db, const char *text, FILE *out), FILE *out)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL), result = 0;

	if (code == SQLITE_OK && parameter != NULL)
		code = sqlite3_bind_text(statement, 1, parameter, -1, SQLITE_STATIC);
	while (code == SQLITE_OK && result == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		result = each(db, (const char *)sqlite3_column_text(statement, 0), out);
		code = SQLITE_OK;
	}
	if (result == 0 && code != SQLITE_DONE)
		result = make_failed(db, sql);
	sqlite3_finalize(statement);
	return result;
}

static int write_sql(sqlite3 *db, const char *sql, FILE *out)
{
	(void)db;
	write_statement(out, sql);
	return 0;
}

/* select: returns an INSERT for each row of a table. */
static int write_rows(sqlite3 *db, const char *select, FILE *out)
{
	return each_text(db, select, NULL, write_sql, out);
}

/* rowid: of the object in the schema. Generated columns are hidden, and have no value to write. */
static int write_object(sqlite3 *db, const char *rowid, FILE *out)
{
	static const char inserts[] =
		"SELECT printf('SELECT ''INSERT INTO \"%w\" (%s) VALUES ('' || %s || '')'' FROM "
		"\"%w\"', s.name, group_concat(printf('\"%w\"', c.name), ', '), "
		"group_concat(printf('quote(\"%w\")', c.name), ' || '', '' || '), s.name) "
		"FROM sqlite_schema s, pragma_table_xinfo(s.name) c "
		"WHERE s.type = 'table' AND s.rowid = ?1 AND c.hidden = 0 GROUP BY s.name";
	int result = each_text(
		db, "SELECT sql FROM sqlite_schema WHERE rowid = ?1", rowid, write_sql, out);

	return result < 0 ? result : each_text(db, inserts, rowid, write_rows, out);
}

static int write_schema(sqlite3 *db, FILE *out)
{
	int result;

	(void)fputs("/* Made by make_new_schema.c. Do not edit. */\n"
		    "#include \"sqlite/schema/new_schema.h\"\n\n"
		    "const char new_schema_sql[] =\n",
		out);
	/* The others belong to SQLite: indexes of keys, and its own tables. */
	result = each_text(db,
		"SELECT rowid FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE "
		"'sqlite@_%' ESCAPE '@' ORDER BY rowid",
		NULL, write_object, out);
	(void)fputs("\t\"\";\n", out);
	return result;
}

int main(int argc, char **argv)
{
	FILE *out = argc == 2 ? fopen(argv[1], "we") : NULL;
	sqlite3 *db = NULL;
	int result;

	if (out == NULL) {
		(void)fputs("usage: make-new-schema OUTPUT\n", stderr);
		return EXIT_FAILURE;
	}
	result = sqlite3_open(":memory:", &db) == SQLITE_OK ? run_all(db)
							    : make_failed(db, ":memory:");
	if (result == 0)
		result = write_schema(db, out);
	(void)sqlite3_close(db);
	if (fclose(out) != 0)
		result = -1;
	if (result < 0)
		(void)remove(argv[1]);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
