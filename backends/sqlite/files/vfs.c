/* A VFS over SQLite's own that collects appends to the write-ahead log and writes them together.
 *
 * SQLite writes each page of a commit by two calls: the page, and before it 24 bytes of header,
 * which misalign every page with the kernel's. A commit of many calls has hundreds of them. Here
 * they are copied into one buffer.
 *
 * The buffer is written before anything can observe the log: the sync that makes it durable, a
 * read, its size or truncation, and the barrier before other connections learn of it. With
 * synchronous=FULL the sync comes first at each commit. So nothing that was answered, or that
 * others can see, is only in the buffer. An error of the write becomes an error of the sync, which
 * fails the commit in the same way.
 *
 * A commit whose sync fails is refused, yet it is complete in the log. If the process were killed
 * before the next commit overwrites it, the next open would accept it. So the log is truncated to
 * where the transaction began.
 *
 * Everything else, including locks, goes to SQLite's VFS unchanged. Connections with and without
 * this VFS can share a file. */
#include "vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* SQLite's VFS for Unix writes at most this much in one call. A portion of 32 pages takes a few
 * hundred microseconds of disk time. */
enum { GATHER_BYTES = 0x1FFFF, PORTION = 32 };

struct file {
	sqlite3_file base;     /* first member: SQLite's view */
	struct file *log;      /* of a database: its log, when open */
	struct file *database; /* of a log: its database, cleared at close */
	unsigned char *bytes;  /* of a log: data not yet written; NULL: out of memory, each write
	                          passes through */
	int length;
	sqlite3_int64 start;    /* its offset in the file */
	sqlite3_int64 unsynced; /* of a log: start of what this transaction has written since its
	                           last sync; -1: nothing */
	int pace_fd;            /* of a database: see vfs_pace; -1: none */
	unsigned writes;        /* since pacing began */
	void (*moved)(void *argument);
	void *argument; /* passed to moved */
	int failure; /* a failed write that had no caller to report to; the next sync reports it */
	sqlite3_file under[]; /* SQLite's own file */
};

static struct file *vfs_self(sqlite3_file *file)
{
	return (struct file *)(void *)file;
}

static sqlite3_file *under(sqlite3_file *file)
{
	return vfs_self(file)->under;
}

static int vfs_write_out(struct file *file)
{
	int code = SQLITE_OK;

	if (file->length > 0)
		code = file->under->pMethods->xWrite(
			file->under, file->bytes, file->length, file->start);
	/* A failed write is not retried: the commit fails, and the next one begins at the same
	 * offset. */
	file->length = 0;
	return code;
}

static int close_file(sqlite3_file *base)
{
	struct file *file = vfs_self(base);
	int code = vfs_write_out(file), closed;

	if (file->database != NULL)
		file->database->log = NULL;
	if (file->log != NULL)
		file->log->database = NULL;
	free(file->bytes);
	file->bytes = NULL;
	closed = file->under->pMethods->xClose(file->under);
	return code != SQLITE_OK ? code : closed;
}

static int vfs_read_file(sqlite3_file *base, void *to, int count, sqlite3_int64 offset)
{
	struct file *file = vfs_self(base);
	int code = SQLITE_OK;

	if (offset < file->start + file->length && offset + count > file->start)
		code = vfs_write_out(file);
	return code != SQLITE_OK ? code
				 : file->under->pMethods->xRead(file->under, to, count, offset);
}

/* Spreads the work of a later sync. An error reported here would not be reported again by that
 * sync. */
static int write_paced(struct file *file, const void *from, int count, sqlite3_int64 offset)
{
	const unsigned all =
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
	int code = file->under->pMethods->xWrite(file->under, from, count, offset);

	if (code != SQLITE_OK || file->pace_fd < 0 || ++file->writes % PORTION != 0)
		return code;
	if (sync_file_range(file->pace_fd, 0, 0, all) != 0 &&
		(errno == EIO || errno == ENOSPC || errno == EDQUOT))
		return SQLITE_IOERR_FSYNC;
	if (file->moved != NULL)
		file->moved(file->argument);
	return SQLITE_OK;
}

static int vfs_write_file(sqlite3_file *base, const void *from, int count, sqlite3_int64 offset)
{
	struct file *file = vfs_self(base);
	int code = SQLITE_OK;

	if (file->unsynced < 0 || offset < file->unsynced)
		file->unsynced = offset;
	if (file->bytes == NULL)
		return write_paced(file, from, count, offset);
	if (file->length > 0 &&
		(offset != file->start + file->length || file->length + count > GATHER_BYTES))
		code = vfs_write_out(file);
	if (code != SQLITE_OK || count > GATHER_BYTES)
		return code != SQLITE_OK
			? code
			: file->under->pMethods->xWrite(file->under, from, count, offset);
	if (file->length == 0)
		file->start = offset;
	memcpy(file->bytes + file->length, from, (size_t)count);
	file->length += count;
	return SQLITE_OK;
}

static int truncate_file(sqlite3_file *base, sqlite3_int64 size)
{
	int code = vfs_write_out(vfs_self(base));

	return code != SQLITE_OK ? code : under(base)->pMethods->xTruncate(under(base), size);
}

static int sync_file(sqlite3_file *base, int flags)
{
	struct file *file = vfs_self(base);
	int code = vfs_write_out(file);

	if (code == SQLITE_OK)
		code = file->failure;
	file->failure = SQLITE_OK;
	if (code == SQLITE_OK)
		code = file->under->pMethods->xSync(file->under, flags);
	if (code != SQLITE_OK && file->database != NULL && file->unsynced >= 0)
		(void)file->under->pMethods->xTruncate(file->under, file->unsynced);
	file->unsynced = -1;
	return code;
}

static int size_of_file(sqlite3_file *base, sqlite3_int64 *size)
{
	int code = vfs_write_out(vfs_self(base));

	return code != SQLITE_OK ? code : under(base)->pMethods->xFileSize(under(base), size);
}

static int vfs_lock(sqlite3_file *file, int level)
{
	return under(file)->pMethods->xLock(under(file), level);
}

static int unlock(sqlite3_file *file, int level)
{
	return under(file)->pMethods->xUnlock(under(file), level);
}

static int check_reserved_lock(sqlite3_file *file, int *locked)
{
	return under(file)->pMethods->xCheckReservedLock(under(file), locked);
}

static int control(sqlite3_file *file, int operation, void *argument)
{
	return under(file)->pMethods->xFileControl(under(file), operation, argument);
}

static int sector_size(sqlite3_file *file)
{
	return under(file)->pMethods->xSectorSize(under(file));
}

static int characteristics(sqlite3_file *file)
{
	return under(file)->pMethods->xDeviceCharacteristics(under(file));
}

static int map_shared(sqlite3_file *file, int region, int size, int extend, void volatile **at)
{
	return under(file)->pMethods->xShmMap(under(file), region, size, extend, at);
}

static int lock_shared(sqlite3_file *base, int offset, int count, int flags)
{
	struct file *log = vfs_self(base)->log;

	/* The writer's lock. Between two transactions others may write to the log; our next
	 * truncation must not remove that. */
	if (offset == 0 && log != NULL)
		log->unsynced = -1;
	return under(base)->pMethods->xShmLock(under(base), offset, count, flags);
}

/* After this, the index names the log's new end. */
static void barrier(sqlite3_file *base)
{
	struct file *log = vfs_self(base)->log;
	int code = log != NULL ? vfs_write_out(log) : SQLITE_OK;

	if (code != SQLITE_OK)
		log->failure = code;
	under(base)->pMethods->xShmBarrier(under(base));
}

static int unmap_shared(sqlite3_file *file, int remove)
{
	return under(file)->pMethods->xShmUnmap(under(file), remove);
}

static int vfs_fetch(sqlite3_file *file, sqlite3_int64 offset, int count, void **at)
{
	return under(file)->pMethods->xFetch(under(file), offset, count, at);
}

static int unfetch(sqlite3_file *file, sqlite3_int64 offset, void *at)
{
	return under(file)->pMethods->xUnfetch(under(file), offset, at);
}

static const sqlite3_io_methods methods = {
	.iVersion = 3,
	.xClose = close_file,
	.xRead = vfs_read_file,
	.xWrite = vfs_write_file,
	.xTruncate = truncate_file,
	.xSync = sync_file,
	.xFileSize = size_of_file,
	.xLock = vfs_lock,
	.xUnlock = unlock,
	.xCheckReservedLock = check_reserved_lock,
	.xFileControl = control,
	.xSectorSize = sector_size,
	.xDeviceCharacteristics = characteristics,
	.xShmMap = map_shared,
	.xShmLock = lock_shared,
	.xShmBarrier = barrier,
	.xShmUnmap = unmap_shared,
	.xFetch = vfs_fetch,
	.xUnfetch = unfetch,
};

/* Databases and their logs use this VFS; journals and temporary files use SQLite's alone. */
static int vfs_open_file(
	sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *flags_out)
{
	sqlite3_vfs *system = vfs->pAppData;
	struct file *file = vfs_self(base);
	int code;

	if ((flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) == 0)
		return system->xOpen(system, name, base, flags, flags_out);
	*file = (struct file){.pace_fd = -1, .unsynced = -1};
	code = system->xOpen(system, name, file->under, flags, flags_out);
	if (file->under->pMethods == NULL || file->under->pMethods->iVersion < 3) {
		if (file->under->pMethods != NULL)
			(void)file->under->pMethods->xClose(file->under);
		return code != SQLITE_OK ? code : SQLITE_CANTOPEN;
	}
	if ((flags & SQLITE_OPEN_WAL) != 0) {
		file->bytes = malloc(GATHER_BYTES);
		file->database = vfs_self(sqlite3_database_file_object(name));
		file->database->log = file;
	}
	file->base.pMethods = &methods;
	return code;
}

/* The other methods of a VFS pass to SQLite's own. */
static sqlite3_vfs *system_of(sqlite3_vfs *vfs)
{
	return vfs->pAppData;
}

static int delete_file(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
	return system_of(vfs)->xDelete(system_of(vfs), name, sync_folder);
}

static int access_file(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
	return system_of(vfs)->xAccess(system_of(vfs), name, flags, result);
}

static int full_name(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
	return system_of(vfs)->xFullPathname(system_of(vfs), name, size, out);
}

static int randomness(sqlite3_vfs *vfs, int count, char *out)
{
	return system_of(vfs)->xRandomness(system_of(vfs), count, out);
}

static int sleep_for(sqlite3_vfs *vfs, int microseconds)
{
	return system_of(vfs)->xSleep(system_of(vfs), microseconds);
}

static int current_time(sqlite3_vfs *vfs, double *now)
{
	return system_of(vfs)->xCurrentTime(system_of(vfs), now);
}

static int current_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *now)
{
	return system_of(vfs)->xCurrentTimeInt64(system_of(vfs), now);
}

static int last_error(sqlite3_vfs *vfs, int size, char *text)
{
	return system_of(vfs)->xGetLastError(system_of(vfs), size, text);
}

static sqlite3_vfs made = {
	.iVersion = 2,
	.zName = "pierre",
	.xOpen = vfs_open_file,
	.xDelete = delete_file,
	.xAccess = access_file,
	.xFullPathname = full_name,
	.xRandomness = randomness,
	.xSleep = sleep_for,
	.xCurrentTime = current_time,
	.xGetLastError = last_error,
	.xCurrentTimeInt64 = current_time_ms,
};
static bool ready;

static void make(void)
{
	sqlite3_vfs *system = sqlite3_vfs_find(NULL);

	if (system == NULL || system->iVersion < 2)
		return;
	made.szOsFile = (int)sizeof(struct file) + system->szOsFile;
	made.mxPathname = system->mxPathname;
	made.pAppData = system;
	ready = sqlite3_vfs_register(&made, 0) == SQLITE_OK;
}

const char *vfs_name(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, make);
	return ready ? made.zName : NULL;
}

void vfs_pace(sqlite3 *db, int fd, void (*moved)(void *argument), void *argument)
{
	sqlite3_file *file = NULL;

	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
		file == NULL || file->pMethods != &methods)
		return;
	vfs_self(file)->pace_fd = fd;
	vfs_self(file)->moved = moved;
	vfs_self(file)->argument = argument;
}
