/* The VFS that gathers what is written to SQLite's log. Would catch: a commit that other connections cannot see, or that a crash would lose;
 * pages that a transaction wrote and does not find again; a failed write that is answered as stored, or that spoils what comes after it. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "../../backends/sqlite/vfs.h"
#include "unit.h"

static char folder[64], path[128], log_path[136];
static sqlite3 *writer, *other;

static void run(sqlite3 *db, const char *sql)
{
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
}

static int number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement;
	int value = -1;

	ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(statement) == SQLITE_ROW)
		value = sqlite3_column_int(statement, 0);
	ck_assert_msg(sqlite3_finalize(statement) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	return value;
}

static sqlite3 *open_with(const char *vfs)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
	run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=10");
	return db;
}

static void enter(void)
{
	(void)snprintf(folder, sizeof folder, "/tmp/pierre-vfs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof path, "%s/db", folder);
	(void)snprintf(log_path, sizeof log_path, "%s-wal", path);
	ck_assert_ptr_nonnull(vfs_name());
	writer = open_with(vfs_name());
	other = open_with(NULL);
	run(writer, "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)");
}

static void leave(void)
{
	char name[140];

	sqlite3_close(other);
	sqlite3_close(writer);
	for (const char *const *end = (const char *const[]){"", "-wal", "-shm", "-journal", NULL}; *end != NULL; end++) {
		(void)snprintf(name, sizeof name, "%s%s", path, *end);
		(void)unlink(name);
	}
	ck_assert_int_eq(rmdir(folder), 0);
}

static void insert(int rows, int bytes)
{
	char sql[160];

	(void)snprintf(sql, sizeof sql, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO t (x) SELECT hex(randomblob(%d)) FROM n",
	               rows, bytes / 2);
	run(writer, sql);
}

START_TEST(each_commit_is_seen)
{
	for (int i = 1; i <= 50; i++) {
		insert(3, 3000);
		ck_assert_int_eq(number(other, "SELECT count(*) FROM t"), 3 * i);
	}
	ck_assert_int_eq(number(other, "SELECT sum(length(x)) FROM t"), 150 * 3000);
}
END_TEST

/* What stands in the files at a commit's end is all there is: a copy of them is what a killed process leaves. */
START_TEST(each_commit_is_in_the_file)
{
	struct stat before, after;

	ck_assert_int_eq(stat(log_path, &before), 0);
	insert(40, 4000);
	ck_assert_int_eq(stat(log_path, &after), 0);
	ck_assert_int_ge(after.st_size - before.st_size, 40 * 4096);
}
END_TEST

/* A transaction larger than the cache writes pages early, and reads them again from the log. */
START_TEST(large_transactions)
{
	run(writer, "BEGIN");
	insert(2000, 2000);
	ck_assert_int_eq(number(writer, "SELECT sum(length(x)) FROM t"), 2000 * 2000);
	ck_assert_int_eq(number(other, "SELECT count(*) FROM t"), 0);
	run(writer, "UPDATE t SET x = upper(x) || 'y'");
	ck_assert_int_eq(number(writer, "SELECT sum(length(x)) FROM t"), 2000 * 2001);
	run(writer, "COMMIT");
	ck_assert_int_eq(number(other, "SELECT sum(length(x)) FROM t"), 2000 * 2001);
	ck_assert_int_eq(number(other, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
}
END_TEST

START_TEST(what_is_rolled_back_is_gone)
{
	insert(10, 100);
	run(writer, "BEGIN");
	insert(2000, 2000);
	run(writer, "ROLLBACK");
	ck_assert_int_eq(number(writer, "SELECT count(*) FROM t"), 10);
	insert(5, 100);
	ck_assert_int_eq(number(other, "SELECT count(*) FROM t"), 15);
	ck_assert_int_eq(number(other, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
}
END_TEST

START_TEST(savepoints)
{
	run(writer, "BEGIN; SAVEPOINT a");
	insert(500, 2000);
	run(writer, "ROLLBACK TO a; RELEASE a");
	insert(7, 2000);
	run(writer, "COMMIT");
	ck_assert_int_eq(number(other, "SELECT count(*) FROM t"), 7);
}
END_TEST

/* By one that gathers and by one that does not, paced and not; the log begins anew after each. */
START_TEST(checkpoints)
{
	int fd = dup(STDIN_FILENO), pages, moved;

	vfs_pace(writer, fd); /* any descriptor: the portions are a favour, nothing depends on them */
	for (int i = 0; i < 6; i++) {
		insert(300, 3000);
		ck_assert_int_eq(sqlite3_wal_checkpoint_v2(i % 2 == 0 ? writer : other, NULL, SQLITE_CHECKPOINT_RESTART, &pages, &moved), SQLITE_OK);
		ck_assert_int_eq(pages, moved);
	}
	ck_assert_int_eq(number(other, "SELECT sum(length(x)) FROM t"), 1800 * 3000);
	ck_assert_int_eq(number(other, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
	close(fd);
}
END_TEST

/* The log cannot grow: the commit says so, and the next one that finds room stands where the failed one would have. */
START_TEST(failed_writes)
{
	struct rlimit old, small = {0};
	struct stat log;

	(void)signal(SIGXFSZ, SIG_IGN);
	insert(10, 3000);
	ck_assert_int_eq(stat(log_path, &log), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	for (int room = 0; room < 40000; room += 9000) {
		small = (struct rlimit){(rlim_t)(log.st_size + room), old.rlim_max};
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
		ck_assert_int_ne(sqlite3_exec(writer, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30) "
		                                      "INSERT INTO t (x) SELECT hex(randomblob(2000)) FROM n", NULL, NULL, NULL), SQLITE_OK);
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
		ck_assert_int_eq(number(other, "SELECT count(*) FROM t"), 10);
	}
	insert(20, 3000);
	ck_assert_int_eq(number(other, "SELECT count(*) FROM t"), 30);
	ck_assert_int_eq(number(other, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, enter, leave);
	tcase_add_test(tests, each_commit_is_seen);
	tcase_add_test(tests, each_commit_is_in_the_file);
	tcase_add_test(tests, large_transactions);
	tcase_add_test(tests, what_is_rolled_back_is_gone);
	tcase_add_test(tests, savepoints);
	tcase_add_test(tests, checkpoints);
	tcase_add_test(tests, failed_writes);
	return unit_run("vfs", tests, true);
}
