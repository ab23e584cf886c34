#include "watch.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "../sqlite_store.h"
#include "path.h"

enum { LOG_LARGE = 256 << 20 };

int watch_start(struct sqlite_store *store, struct err *err)
{
	struct watch *watch = &store->watch;

	watch->log.path = path_beside(store->path, "-wal");
	watch->index.path = path_beside(store->path, "-shm");
	return watch->log.path != NULL && watch->index.path != NULL
		? 0
		: err_exit(err, EX_OSERR, "out of memory");
}

static void look_at_length(struct sqlite_store *store, off_t length)
{
	bool large = length > LOG_LARGE;

	atomic_store_explicit(&store->wal_bytes, (uint64_t)length, memory_order_relaxed);
	if (large && !store->watch.log_warned)
		store->settings.log(4,
			"the write-ahead log has %lld bytes: a long read outside the daemon "
			"keeps it from being reused",
			(long long)length);
	store->watch.log_warned = large;
}

/* While the writer reopens the database, other connections keep its files in place. */
static int look_beside(struct beside *beside, struct stat *now, struct err *err)
{
	bool there = stat(beside->path, now) == 0;

	if (beside->inode == 0) {
		beside->inode = there ? now->st_ino : 0;
		return 0;
	}
	if (!there)
		return err_exit(err, EX_IOERR, "%s was removed while it was open", beside->path);
	if (now->st_ino != beside->inode)
		return err_exit(err, EX_IOERR, "%s was replaced while it was open", beside->path);
	return 0;
}

static int sqlite_watch_look(struct sqlite_store *store, struct err *err)
{
	struct watch *watch = &store->watch;
	struct stat now = {0};

	if (stat(store->path, &now) != 0 || now.st_ino != watch->inode ||
		now.st_dev != watch->device)
		return err_exit(
			err, EX_IOERR, "%s was removed or replaced while it was open", store->path);
	if (look_beside(&watch->index, &now, err) < 0 || look_beside(&watch->log, &now, err) < 0)
		return -1;
	if (watch->log.inode != 0)
		look_at_length(store, now.st_size);
	return 0;
}

int watch_look(struct sqlite_store *store, struct err *err)
{
	int result = sqlite_watch_look(store, err);

	if (result < 0)
		atomic_store(&store->lost, true);
	return result;
}

void watch_free(struct watch *watch)
{
	free(watch->log.path);
	free(watch->index.path);
}
