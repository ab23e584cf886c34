/* Copies the database page by page from one snapshot. The copy's read transaction keeps its view
 * while the writer continues, so writes never restart the copy. The log cannot be reused meanwhile:
 * it grows.
 *
 * The copy is written to PATH.partial. It is renamed to PATH only when it is complete, checked and
 * durable. So a file named PATH is always a good copy, even if the daemon or the machine fails. */
#include "backup.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../../protocol/json/json_add.h"
#include "../../../protocol/output_file.h"
#include "../session.h"
#include "path.h"

/* The thread pauses between steps, which leaves disk time to the calls. */
enum { STEP_PAGES = 256, REST_NS = 1000000, BUSY_NS = 20000000, CHECK_STEPS = 10000 };

enum phase { PHASE_COPYING, PHASE_CHECKING, PHASE_DONE, PHASE_FAILED };

static const char *const phase_names[] = {"copying", "checking", "done", "failed"};

struct backup {
	const struct store_settings *settings;
	char *database, *path, *partial;
	bool force, started, partial_made;
	uint64_t number, began;
	pthread_t thread;
	atomic_bool cancel;
	atomic_uint_fast64_t pages, pages_done;
	atomic_uint phase; /* DONE and FAILED are stored last: the rest may then be read */
	uint64_t ended, bytes;
	struct buffer tables; /* {"users":3,…} */
	struct err err;
};

static int sqlite_backup_failed(struct backup *backup, const char *what, const char *why)
{
	return err_set(&backup->err, ERR_STORAGE, "%s: %s", what, why);
}

static int sqlite_failed(struct backup *backup, const char *what, int code)
{
	if (atomic_load(&backup->cancel))
		return sqlite_backup_failed(
			backup, backup->path, "cancelled: the daemon is stopping");
	return sqlite_backup_failed(backup, what, session_reason(code));
}

static void rest(long ns)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* Creates the file, with permissions for the daemon's user only. Removes one that a killed daemon
 * has left, but only a regular file. */
static int make_partial(struct backup *backup)
{
	struct stat old;
	int fd;

	if (lstat(backup->partial, &old) == 0 &&
		(!S_ISREG(old.st_mode) || unlink(backup->partial) != 0))
		return sqlite_backup_failed(backup, backup->partial, "already exists");
	fd = open(backup->partial, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return sqlite_backup_failed(backup, backup->partial, strerror(errno));
	backup->partial_made = true;
	(void)close(fd);
	return 0;
}

static int copy_pages(struct backup *backup, sqlite3 *from, sqlite3 *to)
{
	sqlite3_backup *copy = sqlite3_backup_init(to, "main", from, "main");
	int code = SQLITE_OK;

	if (copy == NULL)
		return sqlite_failed(backup, backup->partial, sqlite3_extended_errcode(to));
	while (!atomic_load_explicit(&backup->cancel, memory_order_relaxed)) {
		code = sqlite3_backup_step(copy, STEP_PAGES);
		uint64_t pages = (uint64_t)sqlite3_backup_pagecount(copy);
		atomic_store_explicit(&backup->pages, pages, memory_order_relaxed);
		atomic_store_explicit(&backup->pages_done,
			pages - (uint64_t)sqlite3_backup_remaining(copy), memory_order_relaxed);
		if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
			rest(BUSY_NS);
		else if (code == SQLITE_OK)
			rest(REST_NS);
		else
			break;
	}
	(void)sqlite3_backup_finish(copy);
	return code == SQLITE_DONE ? 0 : sqlite_failed(backup, backup->partial, code);
}

static int write_count(void *argument, const char *name, int64_t rows)
{
	json_add_integer(argument, name, rows);
	return 0;
}

/* The number of rows of each table, as a JSON object. */
static int sqlite_backup_count_rows(struct backup *backup, sqlite3 *db, struct buffer *out)
{
	int code;

	buffer_byte(out, '{');
	code = session_count_tables(db, write_count, out);
	buffer_byte(out, '}');
	if (out->failure != BUFFER_OK)
		code = SQLITE_NOMEM;
	return code == SQLITE_OK ? 0 : sqlite_failed(backup, "counting rows", code);
}

static int cancelled(void *argument)
{
	return atomic_load_explicit(&((struct backup *)argument)->cancel, memory_order_relaxed);
}

static sqlite3 *open_database(struct backup *backup, const char *path, int flags)
{
	sqlite3 *db = NULL;
	int code = sqlite3_open_v2(
		path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (code == SQLITE_OK) {
		(void)sqlite3_busy_timeout(db, 5000);
		sqlite3_progress_handler(db, CHECK_STEPS, cancelled, backup);
		return db;
	}
	(void)sqlite_failed(backup, path, code);
	sqlite3_close(db);
	return NULL;
}

static int sqlite_backup_run_sql(
	struct backup *backup, sqlite3 *db, const char *what, const char *sql)
{
	int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : sqlite_failed(backup, what, code);
}

static int sqlite_backup_copy(struct backup *backup)
{
	sqlite3 *from = open_database(backup, backup->database, SQLITE_OPEN_READONLY);
	sqlite3 *to =
		from != NULL ? open_database(backup, backup->partial, SQLITE_OPEN_READWRITE) : NULL;
	int result = -1;

	/* Only an unused partial file is lost if the process is killed: it needs no journal. */
	if (to != NULL &&
		sqlite_backup_run_sql(backup, to, backup->partial,
			"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF") == 0 &&
		sqlite_backup_run_sql(backup, from, backup->database,
			"BEGIN; SELECT count(*) FROM sqlite_schema") == 0 &&
		sqlite_backup_count_rows(backup, from, &backup->tables) == 0)
		result = copy_pages(backup, from, to);
	sqlite3_close(to);
	sqlite3_close(from);
	return result;
}

static int sqlite_backup_check_integrity(struct backup *backup, sqlite3 *db)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &statement, NULL);
	bool good = false;

	if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *found = (const char *)sqlite3_column_text(statement, 0);

		good = found != NULL && strcmp(found, "ok") == 0;
		code = found != NULL ? SQLITE_OK : SQLITE_NOMEM;
	}
	sqlite3_finalize(statement);
	if (code != SQLITE_OK)
		return sqlite_failed(backup, "checking the copy", code);
	return good ? 0
		    : sqlite_backup_failed(backup, "checking the copy",
			      "it is damaged, and so is the database or the disk");
}

/* Converts the copy to one file that is readable without a log beside it. */
static int sqlite_backup_check(struct backup *backup)
{
	sqlite3 *db = open_database(backup, backup->partial, SQLITE_OPEN_READWRITE);
	struct buffer tables = {0};
	int result = -1;

	if (db != NULL &&
		sqlite_backup_run_sql(backup, db, backup->partial, "PRAGMA journal_mode=DELETE") ==
			0 &&
		sqlite_backup_check_integrity(backup, db) == 0 &&
		sqlite_backup_count_rows(backup, db, &tables) == 0) {
		if (tables.length == backup->tables.length &&
			memcmp(tables.data, backup->tables.data, tables.length) == 0)
			result = 0;
		else
			(void)sqlite_backup_failed(backup, "checking the copy",
				"its row counts differ from the database's");
	}
	buffer_free(&tables);
	sqlite3_close(db);
	return result;
}

static int sync_path(const char *path, int flags, struct stat *status)
{
	int fd = open(path, flags | O_CLOEXEC), result = -1;

	if (fd >= 0 && fsync(fd) == 0 && fstat(fd, status) == 0)
		result = 0;
	if (fd >= 0)
		(void)close(fd);
	return result;
}

static bool same_file(const char *a, const char *b)
{
	struct stat first, second;

	return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
		first.st_ino == second.st_ino;
}

/* 1: a file of the database, under any name: opening and closing one would drop SQLite's locks on
 * it. -1: out of memory. */
static int is_ours(const char *database, const char *path)
{
	int found = 0;

	for (const char *const *end = output_file_beside; *end != NULL && found == 0; end++) {
		char *beside = path_beside(database, *end);

		if (beside == NULL)
			return -1;
		found = strcmp(beside, path) == 0 || same_file(beside, path);
		free(beside);
	}
	return found;
}

/* Another file may have this name by now. */
static bool replaces(const struct backup *backup)
{
	errno = EEXIST;
	return !same_file(backup->database, backup->path) &&
		is_ours(backup->database, backup->path) == 0 &&
		output_file_objection(backup->path, OUTPUT_FILE_DATABASE) == NULL;
}

static int give_name(const struct backup *backup)
{
	if (backup->force)
		return replaces(backup) ? rename(backup->partial, backup->path) : -1;
	if (renameat2(AT_FDCWD, backup->partial, AT_FDCWD, backup->path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* For a file system without RENAME_NOREPLACE: a link does not replace an existing file
	 * either. */
	return link(backup->partial, backup->path) == 0 ? unlink(backup->partial) : -1;
}

static int publish(struct backup *backup)
{
	char *folder = strdup(backup->path), *slash = folder != NULL ? strrchr(folder, '/') : NULL;
	struct stat file, status;
	int result = -1;

	if (slash != NULL)
		slash[slash == folder] = '\0';
	if (slash == NULL)
		(void)sqlite_backup_failed(backup, backup->path, "out of memory");
	else if (sync_path(backup->partial, O_RDONLY | O_NOFOLLOW, &file) < 0)
		(void)sqlite_backup_failed(backup, backup->partial, strerror(errno));
	else if (give_name(backup) < 0)
		(void)sqlite_backup_failed(backup, backup->path, strerror(errno));
	else if (sync_path(folder, O_RDONLY | O_DIRECTORY, &status) < 0)
		(void)sqlite_backup_failed(backup, folder, strerror(errno));
	else
		result = 0;
	if (result == 0) {
		backup->partial_made = false;
		backup->bytes = (uint64_t)file.st_size;
	}
	free(folder);
	return result;
}

static void *sqlite_backup_run(void *argument)
{
	struct backup *backup = argument;
	int result = make_partial(backup);

	if (result == 0)
		result = sqlite_backup_copy(backup);
	if (result == 0) {
		atomic_store(&backup->phase, PHASE_CHECKING);
		result = sqlite_backup_check(backup);
	}
	if (result == 0)
		result = publish(backup);
	if (result < 0 && backup->partial_made)
		(void)unlink(backup->partial);
	backup->ended = clock_ns();
	if (result == 0)
		backup->settings->log(5, "the backup is complete: %s, %llu bytes", backup->path,
			(unsigned long long)backup->bytes);
	else
		backup->settings->log(4, "the backup failed: %s", backup->err.message);
	atomic_store(&backup->phase, result == 0 ? PHASE_DONE : PHASE_FAILED);
	return NULL;
}

/* Refusals that can be decided at once. */
static int check_path(const char *database, const char *path, bool force, struct err *err)
{
	size_t length = strlen(path);
	const char *objection;
	struct stat status;
	int ours;

	if (*path != '/' || path[length - 1] == '/')
		return err_set_path(
			err, ERR_INVALID_PARAMS, "path", "path must be an absolute file name");
	if (same_file(database, path))
		return err_set_path(
			err, ERR_INVALID_PARAMS, "path", "%s is the database itself", path);
	ours = is_ours(database, path);
	if (ours < 0)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if (ours > 0)
		return err_set_path(
			err, ERR_INVALID_PARAMS, "path", "%s belongs to the database", path);
	if (!force && lstat(path, &status) == 0)
		return err_set_path(err, ERR_INVALID_PARAMS, "path", "%s already exists", path);
	objection = output_file_objection(path, OUTPUT_FILE_DATABASE);
	if (objection != NULL)
		return err_set_path(err, ERR_INVALID_PARAMS, "path", "%s %s", path, objection);
	return 0;
}

int backup_start(struct backup **ret, const struct store_settings *settings, const char *database,
	const char *path, bool force, uint64_t number, struct err *err)
{
	struct backup *backup;

	if (check_path(database, path, force, err) < 0)
		return -1;
	backup = calloc(1, sizeof *backup);
	if (backup == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	backup->settings = settings;
	backup->database = strdup(database);
	backup->path = strdup(path);
	if (asprintf(&backup->partial, "%s.partial", path) < 0)
		backup->partial = NULL;
	backup->force = force;
	backup->number = number;
	backup->began = clock_ns();
	backup->started = backup->database != NULL && backup->path != NULL &&
		backup->partial != NULL &&
		pthread_create(&backup->thread, NULL, sqlite_backup_run, backup) == 0;
	if (!backup->started) {
		backup_free(backup);
		return err_set(err, ERR_INTERNAL, "out of memory or threads for the copy");
	}
	*ret = backup;
	return 0;
}

bool backup_running(const struct backup *backup)
{
	return backup != NULL && atomic_load(&backup->phase) < PHASE_DONE;
}

uint64_t backup_number(const struct backup *backup)
{
	return backup != NULL ? backup->number : 0;
}

void backup_describe(struct backup *backup, struct buffer *out)
{
	unsigned phase = backup != NULL ? atomic_load(&backup->phase) : 0;
	bool over = phase >= PHASE_DONE;

	json_add_count(out, "number", backup_number(backup));
	json_add_text(out, "state", backup != NULL ? phase_names[phase] : "none");
	json_add_text(out, "path", backup != NULL ? backup->path : NULL);
	json_add_count(out, "pages", backup != NULL ? atomic_load(&backup->pages) : 0);
	json_add_count(out, "pages_done", backup != NULL ? atomic_load(&backup->pages_done) : 0);
	json_add_real(out, "seconds",
		backup != NULL ? (double)((over ? backup->ended : clock_ns()) - backup->began) / 1e9
			       : 0);
	json_add_count(out, "bytes", phase == PHASE_DONE ? backup->bytes : 0);
	json_add_name(out, "tables");
	if (phase == PHASE_DONE)
		buffer_join(out, &backup->tables);
	else
		buffer_text(out, "{}");
	json_add_text(out, "error", phase == PHASE_FAILED ? backup->err.message : NULL);
}

void backup_free(struct backup *backup)
{
	if (backup == NULL)
		return;
	atomic_store(&backup->cancel, true);
	if (backup->started)
		pthread_join(backup->thread, NULL);
	buffer_free(&backup->tables);
	free(backup->database);
	free(backup->path);
	free(backup->partial);
	free(backup);
}
