#include "upgrade.h"

static int read_schema_version(sqlite3 *db, int64_t *version)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db, "PRAGMA schema_version", -1, &statement, NULL);

	if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		*version = sqlite3_column_int64(statement, 0);
		code = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	return code;
}

/* widen_check edits the schema's text; its version makes other connections read it again. */
int upgrade_run(sqlite3 *db, const struct migration *migration)
{
	char sql[96];
	int64_t version = 0;
	int code = sqlite3_exec(db, "PRAGMA writable_schema=ON", NULL, NULL, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_exec(db, migration->sql, NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = read_schema_version(db, &version);
	if (code != SQLITE_OK)
		return code;
	sqlite3_snprintf(sizeof sql, sql,
		"PRAGMA schema_version=%lld; PRAGMA writable_schema=RESET", (long long)version + 1);
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}
