#include "references.h"

static int check_table(sqlite3 *db, const char *table,
	void (*each)(void *argument, const char *table, const char *parent, int64_t rows),
	void *argument)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db,
		"SELECT parent, count(*) FROM pragma_foreign_key_check(?1) GROUP BY 1 ORDER BY 1",
		-1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
	while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		each(argument, table, (const char *)sqlite3_column_text(statement, 0),
			sqlite3_column_int64(statement, 1));
		code = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	return (code & 0xFF) == SQLITE_DONE || (code & 0xFF) == SQLITE_ERROR ? SQLITE_OK : code;
}

int references_each_dangling(sqlite3 *db,
	void (*each)(void *argument, const char *table, const char *parent, int64_t rows),
	void *argument)
{
	sqlite3_stmt *tables = NULL;
	int code = sqlite3_prepare_v2(db,
		"SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%references%' "
		"ORDER BY name",
		-1, &tables, NULL);

	while (code == SQLITE_OK && (code = sqlite3_step(tables)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(tables, 0);

		code = name != NULL ? check_table(db, name, each, argument) : SQLITE_NOMEM;
	}
	sqlite3_finalize(tables);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}
