/* An interrupt that arrives too late for its statement and hits the next one: preloaded into the
 * daemon. While the file $TEST_INTERRUPTED exists, every third COMMIT, and every fifth BEGIN
 * IMMEDIATE, is interrupted before it does anything. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[256];
static unsigned commits, begins;

/* At once: the daemon wipes its environment. */
__attribute__((constructor)) static void begin(void)
{
	const char *given = getenv("TEST_INTERRUPTED");

	if (given != NULL && strlen(given) < sizeof path)
		strcpy(path, given);
}

/* Only the writer's statements: readers begin otherwise, and their commits change nothing. */
static int hit(sqlite3_stmt *statement)
{
	const char *sql = sqlite3_sql(statement);

	if (sql == NULL || sqlite3_db_readonly(sqlite3_db_handle(statement), "main") != 0)
		return 0;
	if (strcmp(sql, "COMMIT") == 0)
		return access(path, F_OK) == 0 && ++commits % 3 == 0;
	return strcmp(sql, "BEGIN IMMEDIATE") == 0 && access(path, F_OK) == 0 && ++begins % 5 == 0;
}

int sqlite3_step(sqlite3_stmt *statement)
{
	int (*next)(sqlite3_stmt *) = (int (*)(sqlite3_stmt *))dlsym(RTLD_NEXT, "sqlite3_step");

	return hit(statement) ? SQLITE_INTERRUPT : next(statement);
}
