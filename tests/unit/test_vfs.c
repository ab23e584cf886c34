/* The VFS that buffers writes to SQLite's WAL. Would catch: a commit that other connections
 * cannot see, or that a crash would lose; pages that a transaction wrote and does not find
 * again; a failed write that is answered as stored, or that damages what follows. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "../../backends/sqlite/files/vfs.h"
#include "unit.h"

static char folder[64], path[128], log_path[136];
static sqlite3 *writer, *other;

/* The system's VFS, except that syncs of the WAL fail while syncs_fail is set. It is below the
 * one under test. */
static sqlite3_vfs failing, *system_vfs;
static sqlite3_io_methods log_methods;
static const sqlite3_io_methods *system_methods;
static bool syncs_fail;

static int failing_sync(sqlite3_file *file, int flags)
{
	return syncs_fail ? SQLITE_IOERR_FSYNC : system_methods->xSync(file, flags);
}

static int failing_open(
	sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *flags_out)
{
	int code = system_vfs->xOpen(system_vfs, name, file, flags, flags_out);

	(void)vfs;
	if (code == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
		system_methods = file->pMethods;
		log_methods = *system_methods;
		log_methods.xSync = failing_sync;
		file->pMethods = &log_methods;
	}
	return code;
}

/* Once: without forks all tests share one process. */
static void make_failing(void)
{
	if (system_vfs != NULL)
		return;
	system_vfs = sqlite3_vfs_find(NULL);
	failing = *system_vfs;
	failing.zName = "failing";
	failing.xOpen = failing_open;
	ck_assert_int_eq(sqlite3_vfs_register(&failing, 1), SQLITE_OK);
}

static void run(sqlite3 *db, const char *sql)
{
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
		sqlite3_errmsg(db));
}

static int number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement;
	int value = -1;

	ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s: %s", sql,
		sqlite3_errmsg(db));
	if (sqlite3_step(statement) == SQLITE_ROW)
		value = sqlite3_column_int(statement, 0);
	ck_assert_msg(sqlite3_finalize(statement) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	return value;
}

static sqlite3 *open_with(const char *vfs)
{
	sqlite3 *db;

	ck_assert_int_eq(
		sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs),
		SQLITE_OK);
	run(db,
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; "
		"PRAGMA cache_size=10");
	return db;
}

static void enter(void)
{
	syncs_fail = false;
	make_failing();
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
	for (const char *const *end = (const char *const[]){"", "-wal", "-shm", "-journal", NULL};
		*end != NULL; end++) {
		(void)snprintf(name, sizeof name, "%s%s", path, *end);
		(void)unlink(name);
	}
	ck_assert_int_eq(rmdir(folder), 0);
}

static void insert(int rows, int bytes)
{
	char sql[160];

	(void)snprintf(sql, sizeof sql,
		"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO t "
		"(x) SELECT hex(randomblob(%d)) FROM n",
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

/* The files at a commit's end hold everything: a copy of them is what a killed process leaves. */
START_TEST(each_commit_is_in_the_file)
{
	struct stat before, after;

	ck_assert_int_eq(stat(log_path, &before), 0);
	insert(40, 4000);
	ck_assert_int_eq(stat(log_path, &after), 0);
	ck_assert_int_ge(after.st_size - before.st_size, 40 * 4096);
}
END_TEST

/* A transaction larger than the cache writes pages early, and reads them again from the WAL. */
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
	ck_assert_int_eq(
		number(other,
			"SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> "
			"'ok'"),
		0);
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
	ck_assert_int_eq(
		number(other,
			"SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> "
			"'ok'"),
		0);
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

static void count_one(void *count)
{
	(*(unsigned *)count)++;
}

/* With and without buffering, paced and not; the WAL is reset after each. */
START_TEST(checkpoints)
{
	int fd = dup(STDIN_FILENO), pages, moved;
	unsigned portions = 0;

	vfs_pace(writer, fd, count_one,
		&portions); /* any descriptor: portions are optional, nothing depends on them */
	for (int i = 0; i < 6; i++) {
		insert(300, 3000);
		ck_assert_int_eq(sqlite3_wal_checkpoint_v2(i % 2 == 0 ? writer : other, NULL,
					 SQLITE_CHECKPOINT_RESTART, &pages, &moved),
			SQLITE_OK);
		ck_assert_int_eq(pages, moved);
		ck_assert_uint_ge(portions,
			(unsigned)(i / 2 + 1) * 300 / 32 /
				2); /* a row is a page; every second time the paced one is used */
	}
	ck_assert_int_eq(number(other, "SELECT sum(length(x)) FROM t"), 1800 * 3000);
	ck_assert_int_eq(
		number(other,
			"SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> "
			"'ok'"),
		0);
	close(fd);
}
END_TEST

/* The WAL cannot grow: the commit reports it, and the next one that finds space takes the place
 * of the failed one. */
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
		ck_assert_int_ne(
			sqlite3_exec(writer,
				"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
				"30) "
				"INSERT INTO t (x) SELECT hex(randomblob(2000)) FROM n",
				NULL, NULL, NULL),
			SQLITE_OK);
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
		ck_assert_int_eq(number(other, "SELECT count(*) FROM t"), 10);
	}
	insert(20, 3000);
	ck_assert_int_eq(number(other, "SELECT count(*) FROM t"), 30);
	ck_assert_int_eq(
		number(other,
			"SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> "
			"'ok'"),
		0);
}
END_TEST

static void copy_file(const char *from, const char *to)
{
	size_t length;
	char *bytes = unit_read(from, &length);
	FILE *file = fopen(to, "wb");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
	ck_assert_int_eq(fclose(file), 0);
	free(bytes);
}

/* Counts rows as seen after a kill at this moment. */
static int rows_after_a_kill(void)
{
	char copy[150], copy_log[160];
	sqlite3 *db;
	int rows;

	(void)snprintf(copy, sizeof copy, "%s.copy", path);
	(void)snprintf(copy_log, sizeof copy_log, "%s-wal", copy);
	copy_file(path, copy);
	copy_file(log_path, copy_log);
	ck_assert_int_eq(sqlite3_open_v2(copy, &db, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
	rows = number(db, "SELECT count(*) FROM t");
	ck_assert_int_eq(
		number(db,
			"SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> "
			"'ok'"),
		0);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
	ck_assert_int_eq(unlink(copy), 0);
	return rows;
}

/* A commit that is refused because its sync failed must not reappear, whatever the process does
 * next. */
START_TEST(failed_syncs)
{
	run(writer, "BEGIN");
	insert(10, 3000);
	for (int rows = 1; rows < 3000; rows *= 9) {
		syncs_fail = true;
		run(writer, "ROLLBACK; BEGIN");
		insert(rows, 2000);
		ck_assert_int_ne(sqlite3_exec(writer, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
		run(writer, "BEGIN");
		syncs_fail = false;
		ck_assert_int_eq(rows_after_a_kill(), 0);
	}
	run(writer, "ROLLBACK");
	insert(5, 3000);
	ck_assert_int_eq(number(other, "SELECT count(*) FROM t"), 5);
	ck_assert_int_eq(rows_after_a_kill(), 5);
}
END_TEST

/* In a WAL that was reset, where writing the header fails. */
START_TEST(failed_syncs_of_a_new_log)
{
	insert(50, 3000);
	ck_assert_int_eq(
		sqlite3_wal_checkpoint_v2(writer, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL),
		SQLITE_OK);
	syncs_fail = true;
	ck_assert_int_ne(sqlite3_exec(writer, "DELETE FROM t", NULL, NULL, NULL), SQLITE_OK);
	syncs_fail = false;
	ck_assert_int_eq(rows_after_a_kill(), 50);
	ck_assert_int_eq(number(other, "SELECT count(*) FROM t"), 50);
	insert(5, 3000);
	ck_assert_int_eq(number(other, "SELECT count(*) FROM t"), 55);
	ck_assert_int_eq(rows_after_a_kill(), 55);
}
END_TEST

/* A commit of another program at the place where a transaction of ours began and was rolled back
 * is not cut off. */
START_TEST(failed_syncs_after_somebody_else)
{
	run(writer, "BEGIN");
	insert(2000, 2000); /* more than the cache holds: a part of it is in the WAL */
	run(writer, "ROLLBACK");
	run(other, "INSERT INTO t (x) VALUES ('theirs')");
	syncs_fail = true;
	ck_assert_int_ne(
		sqlite3_exec(writer, "INSERT INTO t (x) VALUES ('ours')", NULL, NULL, NULL),
		SQLITE_OK);
	syncs_fail = false;
	ck_assert_int_eq(number(other, "SELECT count(*) FROM t WHERE x = 'theirs'"), 1);
	ck_assert_int_eq(rows_after_a_kill(), 1);
	insert(3, 100);
	ck_assert_int_eq(number(other, "SELECT count(*) FROM t"), 4);
	ck_assert_int_eq(rows_after_a_kill(), 4);
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
	tcase_add_test(tests, failed_syncs);
	tcase_add_test(tests, failed_syncs_of_a_new_log);
	tcase_add_test(tests, failed_syncs_after_somebody_else);
	return unit_run("vfs", tests, true);
}
