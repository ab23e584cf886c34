/* Replaces a database by a copy. Wherever the program or the machine stops, the next open finds
 * either the old file with its log or the complete new one.
 *
 * 1. The copy is written to PATH-restore.partial, checked, and made durable. Nothing else uses that
 *    name.
 * 2. It is renamed to PATH-restore. From now on the new file counts: the next program to open PATH
 *    finishes the steps below.
 * 3. The old files are renamed, the database last: until then the old one opens as before.
 * 4. PATH-restore is renamed to PATH.
 *
 * Both files are locked meanwhile. */
#include "restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "../../../protocol/sqlite_url.h"
#include "../../restore.h"
#include "belong.h"
#include "../keys.h"
#include "../migrate.h"
#include "owner.h"
#include "path.h"

enum { CHUNK = 1 << 20 };

struct restore {
	const char *from;
	char *path, *partial, *ready, *aside;
	int old, new; /* descriptors that hold the locks; -1: none */
	struct stat old_status;
	bool old_there, aside_made;
};

static int restore_out_of_memory(struct err *err)
{
	return err_exit(err, EX_OSERR, "out of memory");
}

/* Named after the new file's time: an interrupted restore that is finished later uses the same
 * name. */
static char *name_aside(const char *path, int new)
{
	struct stat status;
	struct tm at;
	char text[64];
	char *name;

	if (fstat(new, &status) != 0 || gmtime_r(&status.st_mtim.tv_sec, &at) == NULL ||
		strftime(text, sizeof text, "%Y%m%dT%H%M%S", &at) == 0)
		return NULL;
	return asprintf(&name, "%s.before-%s.%06ldZ", path, text, status.st_mtim.tv_nsec / 1000) >=
			0
		? name
		: NULL;
}

static int restore_move(const char *from, const char *to, bool *moved, struct err *err)
{
	/* Never replaces a file: uses NOREPLACE where the file system supports it. */
	int result = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);

	if (result != 0 && (errno == EINVAL || errno == ENOSYS) && access(to, F_OK) != 0)
		result = rename(from, to);
	*moved = result == 0;
	if (result == 0 || errno == ENOENT)
		return 0;
	return err_exit(
		err, EX_CANTCREAT, "%s cannot be set aside as %s: %s", from, to, strerror(errno));
}

/* Step 3. The index is useless without the process that created it. */
static int set_aside(struct restore *restore, struct err *err)
{
	static const char *const ends[] = {"-journal", "-wal", "-shm", "", NULL};
	int result = 0;

	for (const char *const *end = ends; *end != NULL && result == 0; end++) {
		char *from = path_beside(restore->path, *end),
		     *to = path_beside(restore->aside, *end);
		bool moved = false;

		result = from != NULL && to != NULL ? restore_move(from, to, &moved, err)
						    : restore_out_of_memory(err);
		restore->aside_made |= moved;
		free(from);
		free(to);
	}
	return result < 0 ? -1 : path_sync_folder(restore->path, err);
}

static int restore_finish(struct restore *restore, struct err *err)
{
	restore->aside = name_aside(restore->path, restore->new);
	if (restore->aside == NULL)
		return restore_out_of_memory(err);
	if (set_aside(restore, err) < 0)
		return -1;
	if (rename(restore->ready, restore->path) != 0)
		return err_exit(err, EX_CANTCREAT, "%s cannot be put in place: %s", restore->path,
			strerror(errno));
	return path_sync_folder(restore->path, err);
}

static int restore_lock(int *fd, const char *path, int flags, struct err *err)
{
	*fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*fd < 0)
		return errno == ENOENT ? 0
				       : err_exit(err, EX_CANTCREAT, "%s cannot be opened: %s",
						 path, strerror(errno));
	if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
		return err_exit(err, EX_TEMPFAIL,
			"%s is in use by a daemon, or being restored: stop it first", path);
	if (path_in_use(*fd))
		return err_exit(
			err, EX_TEMPFAIL, "%s is in use by another program: end it first", path);
	return 0;
}

static void restore_end(struct restore *restore)
{
	if (restore->new >= 0)
		(void)close(restore->new);
	if (restore->old >= 0)
		(void)close(restore->old);
	free(restore->partial);
	free(restore->ready);
	free(restore->aside);
	free(restore->path);
}

static int restore_begin(struct restore *restore, const char *path, struct err *err)
{
	*restore = (struct restore){.old = -1,
		.new = -1,
		.path = strdup(path),
		.partial = path_beside(path, "-restore.partial"),
		.ready = path_beside(path, "-restore")};
	return restore->path != NULL && restore->partial != NULL && restore->ready != NULL
		? 0
		: restore_out_of_memory(err);
}

bool restore_pending(const char *path)
{
	char *ready = path_beside(path, "-restore");
	bool pending = ready != NULL && access(ready, F_OK) == 0;

	free(ready);
	return pending;
}

int restore_resume(const char *path, struct err *err)
{
	struct restore restore;
	int result = restore_begin(&restore, path, err);

	if (result == 0)
		result = restore_lock(&restore.new, restore.ready, O_RDWR | O_NOFOLLOW, err);
	if (result == 0 && restore.new >= 0)
		result = restore_lock(&restore.old, path, O_RDWR, err);
	/* Another process may have finished it in between. */
	if (result == 0 && restore.new >= 0 && access(restore.ready, F_OK) == 0)
		result = restore_finish(&restore, err);
	restore_end(&restore);
	return result;
}

/* The copy */

static int check_source(struct restore *restore, struct err *err)
{
	struct stat from;

	if (stat(restore->from, &from) != 0)
		return err_exit(err, EX_NOINPUT, "%s: %s", restore->from, strerror(errno));
	if (!S_ISREG(from.st_mode))
		return err_exit(err, EX_DATAERR, "%s is not a regular file", restore->from);
	if (restore->old_there && from.st_dev == restore->old_status.st_dev &&
		from.st_ino == restore->old_status.st_ino)
		return err_exit(err, EX_USAGE, "%s is the database itself", restore->from);
	if (belong_has_log(restore->from) || belong_has_journal(restore->from))
		return err_exit(err, EX_DATAERR,
			"%s is incomplete without the log beside it: copy it with pierre-dbctl "
			"backup, or with "
			"sqlite3 FILE '.backup COPY'",
			restore->from);
	return 0;
}

static int copy_bytes(struct restore *restore, int from, struct err *err)
{
	char *chunk = malloc(CHUNK);
	ssize_t length = 0;
	int result = chunk != NULL ? 0 : restore_out_of_memory(err);

	while (result == 0 && (length = read(from, chunk, CHUNK)) > 0)
		for (ssize_t done = 0, wrote; done < length && result == 0; done += wrote)
			if ((wrote = write(restore->new, chunk + done, (size_t)(length - done))) <
				0)
				result = err_exit(
					err, EX_IOERR, "%s: %s", restore->partial, strerror(errno));
	if (result == 0 && length < 0)
		result = err_exit(err, EX_IOERR, "%s: %s", restore->from, strerror(errno));
	free(chunk);
	return result;
}

/* Copies owner and mode from the old file, or from the folder if there is none. */
static int take_owner(struct restore *restore, struct err *err)
{
	const struct stat *like = restore->old_there ? &restore->old_status : NULL;

	if (like == NULL) {
		if (path_give_to_owner(restore->new, restore->partial, err) < 0)
			return -1;
	} else if (geteuid() == 0 && fchown(restore->new, like->st_uid, like->st_gid) != 0) {
		return err_exit(err, EX_CANTCREAT,
			"%s cannot be given to the owner of the database: %s", restore->partial,
			strerror(errno));
	}
	if (fchmod(restore->new, like != NULL ? like->st_mode & 07777 : 0600) != 0 ||
		fsync(restore->new) != 0)
		return err_exit(err, EX_IOERR, "%s: %s", restore->partial, strerror(errno));
	return 0;
}

static int make_copy(struct restore *restore, struct err *err)
{
	int from = open(restore->from, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), result;
	struct stat left;

	if (from < 0)
		return err_exit(err, EX_NOINPUT, "%s: %s", restore->from, strerror(errno));
	if (lstat(restore->partial, &left) == 0 && S_ISREG(left.st_mode))
		(void)unlink(restore->partial);
	restore->new =
		open(restore->partial, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (restore->new < 0)
		result = err_exit(err, EX_CANTCREAT, "%s cannot be created: %s", restore->partial,
			strerror(errno));
	else if (flock(restore->new, LOCK_EX | LOCK_NB) != 0)
		result = err_exit(err, EX_TEMPFAIL, "%s is in use", restore->partial);
	else
		result = copy_bytes(restore, from, err);
	(void)close(from);
	return result == 0 ? take_owner(restore, err) : -1;
}

static int check_integrity_of(struct session *session, const char *from, struct err *err)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(
		    session->db, "PRAGMA integrity_check(1)", -1, &statement, NULL),
	    result = -1;
	const char *found = NULL;

	if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		found = (const char *)sqlite3_column_text(statement, 0);
	if (found != NULL && strcmp(found, "ok") == 0)
		result = 0;
	else
		(void)err_exit(err, EX_DATAERR, "%s is damaged: %.100s", from,
			found != NULL ? found : "it cannot be read");
	sqlite3_finalize(statement);
	return result;
}

/* Refuses what a daemon would refuse at start. */
static int check_copy(
	struct restore *restore, struct restore_report *report, struct seal *seal, struct err *err)
{
	struct session session = {0};
	struct stat status;
	int result = session_open(&session, restore->partial, SESSION_FIXED, seal, err);

	if (result == 0)
		result = check_integrity_of(&session, restore->from, err);
	if (result == 0 && session_integer(&session, "SELECT count(*) FROM sqlite_schema") == 0)
		result = err_exit(err, EX_DATAERR, "%s is empty", restore->from);
	if (result == 0)
		result = migrate_check(&session, false, err);
	if (result == 0)
		result = owner_check(&session, err);
	if (result == 0 && seal != NULL)
		result = keys_prove(&session, err);
	if (result == 0)
		report->schema = migrate_version(&session, err);
	session_close(&session);
	report->bytes = fstat(restore->new, &status) == 0 ? (uint64_t)status.st_size : 0;
	return result;
}

static int install(struct restore *restore, struct restore_report *report, struct err *err)
{
	if (rename(restore->partial, restore->ready) != 0)
		return err_exit(err, EX_CANTCREAT, "%s: %s", restore->ready, strerror(errno));
	if (path_sync_folder(restore->path, err) < 0 || restore_finish(restore, err) < 0)
		return -1;
	report->path = strdup(restore->path);
	report->set_aside = restore->aside_made ? strdup(restore->aside) : NULL;
	return report->path != NULL ? 0 : restore_out_of_memory(err);
}

static int restore_run(
	struct restore *restore, struct restore_report *report, struct seal *seal, struct err *err)
{
	if (restore_lock(&restore->old, restore->path, O_RDWR, err) < 0)
		return -1;
	restore->old_there = restore->old >= 0 && fstat(restore->old, &restore->old_status) == 0;
	if (check_source(restore, err) < 0)
		return -1;
	if (make_copy(restore, err) < 0 || check_copy(restore, report, seal, err) < 0) {
		if (restore->new >= 0)
			(void)unlink(restore->partial);
		return -1;
	}
	return install(restore, report, err);
}

static int restore_file(struct restore_report *report, const char *real, const char *from,
	struct seal *seal, struct err *err)
{
	struct restore restore;
	int result = restore_begin(&restore, real, err);

	restore.from = from;
	if (result == 0)
		result = restore_resume(real, err);
	if (result == 0)
		result = restore_run(&restore, report, seal, err);
	restore_end(&restore);
	return result;
}

int restore_sqlite(struct restore_report *report, const char *url, const char *from,
	struct seal *seal, struct err *err)
{
	struct sqlite_url place;
	char *real = NULL;
	int result;

	*report = (struct restore_report){0};
	if (!sqlite_url_is_one(url))
		return err_exit(err, EX_USAGE,
			"only SQLite is restored from a file: use pg_restore for PostgreSQL");
	result = sqlite_url_parse(url, &place, err);
	if (result == 0 && place.path == NULL)
		result = err_exit(err, EX_USAGE, "a database in memory cannot be restored");
	if (result == 0 && (real = path_real(place.path)) == NULL)
		result = err_exit(err, EX_CANTCREAT, "%s: %s", place.path, strerror(errno));
	if (result == 0)
		result = restore_file(report, real, from, seal, err);
	sqlite_url_free(&place);
	free(real);
	return result;
}

void restore_free(struct restore_report *report)
{
	free(report->path);
	free(report->set_aside);
	*report = (struct restore_report){0};
}
