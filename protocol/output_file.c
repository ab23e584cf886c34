#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const output_file_beside[] = {"-wal", "-shm", "-journal", "-restore", NULL};

static const char magic[16] = "SQLite format 3";

/* An empty database is recognised only by its lock. Opens without blocking: the file may be a
 * FIFO. */
static bool looks_like_database(const char *path, bool *locked)
{
	char begin[sizeof magic];
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	bool is = fd >= 0 && pread(fd, begin, sizeof begin, 0) == (ssize_t)sizeof begin &&
		memcmp(begin, magic, sizeof begin) == 0;

	*locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	if (fd >= 0)
		(void)close(fd);
	return is;
}

/* PATH is DATABASE-wal or similar, of a database that exists or existed: a log without its database
 * still holds data. */
static bool is_beside(const char *path)
{
	char base[PATH_MAX];
	struct stat status;
	size_t length = strlen(path);

	for (const char *const *end = output_file_beside; *end != NULL; end++) {
		size_t cut = strlen(*end);

		if (length <= cut || strcmp(path + length - cut, *end) != 0)
			continue;
		(void)snprintf(base, sizeof base, "%.*s", (int)(length - cut), path);
		if (lstat(base, &status) == 0 || lstat(path, &status) == 0)
			return true;
	}
	return false;
}

static bool has_log(const char *path)
{
	char name[PATH_MAX];
	struct stat status;

	for (const char *const *end = output_file_beside; *end != NULL; end++)
		if (snprintf(name, sizeof name, "%s%s", path, *end) < (int)sizeof name &&
			lstat(name, &status) == 0)
			return true;
	return false;
}

const char *output_file_objection(const char *path, enum output_file_kind kind)
{
	struct stat status;
	bool locked = false;

	if (is_beside(path))
		return "belongs to a database";
	if (has_log(path))
		return "is in use as a database: a log is beside it";
	if (lstat(path, &status) != 0)
		return errno == ENOENT ? NULL : strerror(errno);
	if (S_ISLNK(status.st_mode))
		return "is a link: name the file itself";
	if (!S_ISREG(status.st_mode))
		return S_ISDIR(status.st_mode) ? "is a folder" : "is not a regular file";
	if (looks_like_database(path, &locked) && kind == OUTPUT_FILE_TEXT)
		return "is a database";
	return locked ? "is in use by a daemon" : NULL;
}
